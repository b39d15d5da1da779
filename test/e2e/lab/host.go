package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// hostTools is what Prepare runs, and the Debian package of each.
var hostTools = []struct {
	name, packageName string
	install           bool // small and harmless: install it when missing
}{
	{name: "apt-get", packageName: "apt"},
	{name: "dpkg-deb", packageName: "dpkg"},
	{name: "tar", packageName: "tar"},
	{name: "xz", packageName: "xz-utils", install: true},
	{name: "mke2fs", packageName: "e2fsprogs", install: true},
}

// checkHost finds what is missing before the long work starts.
func checkHost(ctx context.Context, progress io.Writer) error {
	if runtime.GOARCH != "amd64" || runtime.GOOS != "linux" {
		return fmt.Errorf("prepare the lab: it runs on linux/amd64 only, this is %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	if os.Geteuid() != 0 {
		return errors.New("prepare the lab: it unpacks files of every owner and needs root: run it as root")
	}
	for _, tool := range hostTools {
		if _, err := exec.LookPath(tool.name); err == nil {
			continue
		} else if !tool.install {
			return fmt.Errorf("prepare the lab: %w: install the Debian package %s", err, tool.packageName)
		}
		fmt.Fprintf(progress, "lab: installing %s, for %s\n", tool.packageName, tool.name)
		if _, err := run(exec.CommandContext(ctx, "apt-get", "update", "-q")); err != nil {
			return fmt.Errorf("install %s, which has %s: %w", tool.packageName, tool.name, err)
		}
		install := exec.CommandContext(ctx, "apt-get", "install", "--yes", "--no-install-recommends", tool.packageName)
		if _, err := run(install); err != nil {
			return fmt.Errorf("install %s, which has %s: %w", tool.packageName, tool.name, err)
		}
	}
	return nil
}

// run runs a program of the host's and returns what it prints. The error has
// the command and the end of its complaint.
func run(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("run %s: %w: %s", strings.Join(cmd.Args, " "), err, tail(stderr.String(), 20))
	}
	return stdout.String(), nil
}

// tail is the last lines of a text.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
