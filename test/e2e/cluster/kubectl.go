package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Kubectl is the way to a cluster that its users have.
type Kubectl struct {
	Program, Kubeconfig string
}

// ExitError is a kubectl that ended with another code than 0.
type ExitError struct {
	Args           []string
	Stdout, Stderr string
	Code           int
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("kubectl %s: exit code %d: %s%s", strings.Join(e.Args, " "), e.Code, e.Stderr, e.Stdout)
}

// Do runs kubectl and returns what it prints.
func (k *Kubectl) Do(ctx context.Context, args ...string) (string, error) {
	return k.Feed(ctx, "", args...)
}

// Apply creates or changes the objects of manifests, each YAML or JSON.
func (k *Kubectl) Apply(ctx context.Context, manifests ...string) error {
	// A text that begins with a brace would be read as JSON to its end, where the next one's line is none.
	_, err := k.Feed(ctx, "---\n"+strings.Join(manifests, "\n---\n"), "apply", "-f", "-")
	return err
}

// JSON asks for objects and reads them into a struct.
func (k *Kubectl) JSON(ctx context.Context, into any, args ...string) error {
	text, err := k.Do(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("kubectl %s: %w in %s", strings.Join(args, " "), err, text)
	}
	return nil
}

// Feed runs kubectl with an input and returns what it prints.
func (k *Kubectl) Feed(ctx context.Context, input string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, k.Program, append([]string{"--kubeconfig", k.Kubeconfig}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+k.Kubeconfig)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if cmd.ProcessState == nil || ctx.Err() != nil {
			return stdout.String(), fmt.Errorf("run kubectl %s: %w: %s", strings.Join(args, " "), err, stderr.String())
		}
		return stdout.String(), &ExitError{Args: args, Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
	}
	return stdout.String(), nil
}
