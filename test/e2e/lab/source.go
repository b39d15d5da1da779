package lab

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
)

// buildFlags are those of everything that is built for the guest: static, and
// the same whatever the folder.
var buildFlags = []string{"-trimpath", "-buildvcs=false", "-ldflags=-s -w"}

// source is the folder test/e2e of the module that the caller runs in.
type source string

// ModuleRoot is the folder of the module that the working folder belongs to.
func ModuleRoot(ctx context.Context) (string, error) {
	root, err := run(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}"))
	if err != nil {
		return "", fmt.Errorf("find the module: run inside of it: %w", err)
	}
	return strings.TrimSpace(root), nil
}

func findSource(ctx context.Context) (source, error) {
	root, err := ModuleRoot(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "test", "e2e")
	if _, err := os.Stat(filepath.Join(dir, "guest")); err != nil {
		return "", fmt.Errorf("find the lab's source: run inside the module: %w", err)
	}
	return source(dir), nil
}

func (s source) goTool(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off", "GOOS=linux", "GOARCH=amd64")
	return cmd
}

// tools is the folder of a tools module of the source.
func (s source) tools(name string) string { return filepath.Join(string(s), "tools", name) }

// toolKey names what a tools module builds: its pins, the compiler, the flags.
func toolKey(name, module string, flags ...string) (string, error) {
	parts := []string{"tools", runtime.Version(), strings.Join(slices.Concat(buildFlags, flags), " ")}
	for _, file := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(module, file))
		if err != nil {
			return "", fmt.Errorf("read the pins of %s: %w", name, err)
		}
		parts = append(parts, string(data))
	}
	return key(parts...), nil
}

// buildTools builds every tool of a tools module into dir. Of two flags that say different things, the last one counts.
func (s source) buildTools(ctx context.Context, c *cache, name, module, dir string, flags ...string) error {
	list, err := run(s.goTool(ctx, module, "list", "-deps", "tool"))
	if err != nil {
		return fmt.Errorf("fetch the modules of %s: %w", name, err)
	}
	total := strings.Count(list, "\n")
	var compiled countedLines
	stop := c.heartbeat(name, func() string {
		return fmt.Sprintf("compiled %d packages of at most %d", compiled.lines.Load(), total)
	})
	defer stop()
	build := slices.Concat([]string{"build", "-v"}, buildFlags, flags, []string{"-o", dir + "/", "tool"})
	cmd := s.goTool(ctx, module, build...)
	cmd.Stderr = &compiled // -v prints a line for each package
	if _, err := run(cmd); err != nil {
		return fmt.Errorf("build %s: %w: %s", name, err, tail(compiled.text.String(), 20))
	}
	return nil
}

type countedLines struct {
	text  bytes.Buffer
	lines atomic.Int64
}

func (c *countedLines) Write(p []byte) (int, error) {
	c.lines.Add(int64(bytes.Count(p, []byte("\n"))))
	return c.text.Write(p)
}

// guestKey names the guest's binary by its source and its modules.
func (s source) guestKey() (string, error) {
	parts := []string{"guest", runtime.Version(), strings.Join(buildFlags, " ")}
	var files []string
	err := filepath.WalkDir(filepath.Join(string(s), "guest"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read the guest's source: %w", err)
	}
	sort.Strings(files)
	root := filepath.Join(string(s), "..", "..")
	files = append(files, filepath.Join(root, "go.sum"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read the guest's source: %w", err)
		}
		name, err := filepath.Rel(string(s), file)
		if err != nil {
			return "", fmt.Errorf("read the guest's source: %w", err)
		}
		parts = append(parts, name, string(data))
	}
	return key(parts...), nil
}

func (s source) buildGuest(ctx context.Context, dir string) error {
	build := append(append([]string{"build"}, buildFlags...), "-o", filepath.Join(dir, "init"), "./guest")
	_, err := run(s.goTool(ctx, string(s), build...))
	return err
}
