package cni

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

const (
	maxStdout = 1 << 20
	maxStderr = 64 << 10
	// pipeTime is how long a pipe is read on when the plugin has ended and something that it started holds the other end.
	pipeTime = 100 * time.Millisecond
	// busyPause is between two tries to start a file that somebody is about to write.
	busyPause = 20 * time.Millisecond
)

var errOutput = fmt.Errorf("wrote more than %d bytes (1 MiB) and was killed", maxStdout)

// execute runs a plugin in a process group of its own, which is no more when execute returns: at the end of ctx, at too
// much output and after the plugin's own end everything in it is killed. What has left the group is not found again, but
// not waited for either. The error is about the run; how the plugin ended is in the execution.
func execute(ctx context.Context, path string, environment []string, input []byte) (execution, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stdout := &bounded{limit: maxStdout, full: func() { cancel(errOutput) }}
	stderr := &bounded{limit: maxStderr, full: func() {}}
	for {
		command := exec.CommandContext(ctx, path)
		command.Env, command.Stdin, command.Stdout, command.Stderr = environment, bytes.NewReader(input), stdout, stderr
		command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		command.Cancel = func() error { return killGroup(command.Process.Pid) }
		command.WaitDelay = pipeTime
		err := command.Start()
		if errors.Is(err, syscall.ETXTBSY) && pause(ctx, busyPause) {
			continue
		}
		if err != nil {
			return execution{}, notStarted(ctx, err)
		}
		err = command.Wait()
		// The group's number stays taken as long as somebody is in it, so this hits nobody else.
		_ = killGroup(command.Process.Pid)
		return ended(ctx, err, stdout, stderr)
	}
}

func notStarted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("was not started: its time was over: %w", context.Cause(ctx))
	}
	return fmt.Errorf("was not started: %w", err)
}

func ended(ctx context.Context, err error, stdout, stderr *bounded) (execution, error) {
	result := execution{started: true, stdout: stdout.kept.Bytes(), stderr: stderr.kept.Bytes()}
	switch cause := context.Cause(ctx); {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		// The plugin itself ended well; something that it left behind held the pipe.
	case errors.Is(cause, errOutput):
		return result, errOutput
	case cause != nil:
		return result, fmt.Errorf("did not end in time and was killed: %w", cause)
	default:
		result.failure = err.Error()
	}
	if stdout.cut {
		return result, errOutput
	}
	return result, nil
}

// killGroup kills a process group; one without processes is killed already.
func killGroup(group int) error {
	err := syscall.Kill(-group, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// pause tells whether there is time left after a while.
func pause(ctx context.Context, while time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(while):
		return true
	}
}

// bounded keeps the beginning of what is written to it, and drops the rest.
type bounded struct {
	kept  bytes.Buffer // not embedded: io.Copy would find its ReadFrom, which knows no limit
	limit int
	// cut tells that something was dropped; full is called then.
	cut  bool
	full func()
}

// Write never fails: a plugin that cannot write might hang.
func (b *bounded) Write(text []byte) (int, error) {
	fits := min(len(text), b.limit-b.kept.Len())
	b.kept.Write(text[:fits])
	if fits < len(text) {
		b.cut = true
		b.full()
	}
	return len(text), nil
}
