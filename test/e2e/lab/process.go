package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/guest/protocol"
)

// Process is a program that runs in the guest in the background.
type Process struct {
	guest *Guest
	name  string
	pid   int
	log   string
}

// Start starts a program with env added to its environment. What it prints is
// appended to /var/log/<name>.log in the guest.
func (g *Guest) Start(ctx context.Context, name string, env []string, argv ...string) (*Process, error) {
	body, err := json.Marshal(protocol.Command{Name: name, Argv: argv, Env: env})
	if err != nil {
		return nil, err
	}
	var started protocol.Process
	if err := g.call(ctx, http.MethodPost, protocol.PathStart, nil, bytes.NewReader(body), &started); err != nil {
		return nil, fmt.Errorf("start %s in the guest: %w", name, err)
	}
	return &Process{guest: g, name: name, pid: started.PID, log: started.Log}, nil
}

// PID is the process's number in the guest.
func (p *Process) PID() int { return p.pid }

// Log is the file in the guest that has its output.
func (p *Process) Log() string { return p.log }

// Signal sends a signal; one to a process that has ended does nothing.
func (p *Process) Signal(ctx context.Context, signal syscall.Signal) error {
	query := map[string]string{"pid": strconv.Itoa(p.pid), "signal": strconv.Itoa(int(signal))}
	if err := p.guest.call(ctx, http.MethodPost, protocol.PathSignal, query, nil, nil); err != nil {
		return fmt.Errorf("send %s to %s in the guest: %w", signal, p.name, err)
	}
	return nil
}

// Wait waits for the process's end and returns its exit code (128 and the
// signal's number when killed). After limit it returns os.ErrDeadlineExceeded.
func (p *Process) Wait(ctx context.Context, limit time.Duration) (int, error) {
	status, err := p.status(ctx, limit)
	if err == nil && !status.Exited {
		err = fmt.Errorf("still running after %s: %w", limit, os.ErrDeadlineExceeded)
	}
	if err != nil {
		return 0, fmt.Errorf("wait for %s in the guest: %w", p.name, err)
	}
	return status.Code, nil
}

// Running says whether the process has not ended.
func (p *Process) Running(ctx context.Context) (bool, error) {
	status, err := p.status(ctx, 0)
	if err != nil {
		return false, fmt.Errorf("look for %s in the guest: %w", p.name, err)
	}
	return !status.Exited, nil
}

// Stop asks the process to end, and kills it after limit.
func (p *Process) Stop(ctx context.Context, limit time.Duration) (int, error) {
	if err := p.Signal(ctx, syscall.SIGTERM); err != nil {
		return 0, err
	}
	code, err := p.Wait(ctx, limit)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return code, err
	}
	return p.Kill(ctx)
}

// Kill kills the process and waits until it is gone.
func (p *Process) Kill(ctx context.Context) (int, error) {
	if err := p.Signal(ctx, syscall.SIGKILL); err != nil {
		return 0, err
	}
	return p.Wait(ctx, 30*time.Second)
}

func (p *Process) status(ctx context.Context, limit time.Duration) (protocol.Status, error) {
	var status protocol.Status
	query := map[string]string{"pid": strconv.Itoa(p.pid), "ms": strconv.FormatInt(limit.Milliseconds(), 10)}
	err := p.guest.call(ctx, http.MethodGet, protocol.PathWait, query, nil, &status)
	return status, err
}
