package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/guest/protocol"
)

// processes are those that the host started and may signal or wait for.
type processes struct {
	mu    sync.Mutex
	byPID map[int]*process
}

type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once code is set
	code int
}

func newProcesses() *processes { return &processes{byPID: map[int]*process{}} }

func (p *processes) find(r *http.Request) (*process, error) {
	pid, err := strconv.Atoi(r.FormValue("pid"))
	if err != nil {
		return nil, fmt.Errorf("read the pid: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if found := p.byPID[pid]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("no process %d was started here", pid)
}

func command(ctx context.Context, c protocol.Command) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Dir = c.Dir
	return cmd
}

func readCommand(w http.ResponseWriter, r *http.Request) (protocol.Command, bool) {
	var c protocol.Command
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil || len(c.Argv) == 0 {
		http.Error(w, fmt.Sprintf("read the command: %v", errors.Join(err, errors.New("or nothing to run"))), http.StatusBadRequest)
		return c, false
	}
	return c, true
}

// run runs a program to its end. The host going away kills it with all that it
// started.
func (a *agent) run(w http.ResponseWriter, r *http.Request) {
	c, ok := readCommand(w, r)
	if !ok {
		return
	}
	var stdout, stderr bytes.Buffer
	cmd := command(r.Context(), c)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(c.Stdin), &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	// A background child may hold the pipes open; the answer does not wait for it.
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	result := protocol.Result{Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}
	if cmd.ProcessState == nil {
		result.Error = err.Error()
	} else {
		result.Code = exitCode(cmd.ProcessState)
	}
	answer(w, result)
}

// start runs a program in a session of its own, its output in a log.
func (a *agent) start(w http.ResponseWriter, r *http.Request) {
	c, ok := readCommand(w, r)
	if !ok {
		return
	}
	path := filepath.Join("/var/log", filepath.Base(c.Name)+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer log.Close()
	cmd := command(context.Background(), c)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	a.processes.mu.Lock()
	a.processes.byPID[cmd.Process.Pid] = p
	a.processes.mu.Unlock()
	go func() {
		_ = cmd.Wait() // the state says how it ended
		p.code = exitCode(cmd.ProcessState)
		close(p.done)
	}()
	answer(w, protocol.Process{PID: cmd.Process.Pid, Log: path})
}

func (a *agent) signal(w http.ResponseWriter, r *http.Request) {
	p, err := a.processes.find(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	number, err := strconv.Atoi(r.FormValue("signal"))
	if err == nil {
		err = p.cmd.Process.Signal(syscall.Signal(number))
	}
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (a *agent) wait(w http.ResponseWriter, r *http.Request) {
	p, err := a.processes.find(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	ms, err := strconv.Atoi(r.FormValue("ms"))
	if err != nil {
		http.Error(w, fmt.Sprintf("read how long to wait: %v", err), http.StatusBadRequest)
		return
	}
	select {
	case <-p.done:
		answer(w, protocol.Status{Exited: true, Code: p.code})
		return
	default:
	}
	select {
	case <-p.done:
		answer(w, protocol.Status{Exited: true, Code: p.code})
	case <-time.After(time.Duration(ms) * time.Millisecond):
		answer(w, protocol.Status{})
	case <-r.Context().Done():
	}
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
