package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// endLimit is how long a component may take to end when asked to.
const endLimit = 20 * time.Second

// component is a program of the control plane that runs on the host, in a process group of its own.
type component struct {
	name    string
	log     string // file
	cmd     *exec.Cmd
	ended   chan struct{} // closed when it has ended, with its error in failure
	failure error
}

// launch starts a program; what it says is appended to a file of dir.
func launch(dir, program string, args ...string) (*component, error) {
	c := &component{name: filepath.Base(program), ended: make(chan struct{})}
	c.log = filepath.Join(dir, c.name+".log")
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	c.cmd = exec.Command(program, args...)
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = dir, log, log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		// The kernel sends the parent-death signal when the thread that forked ends, so this one must live as long.
		runtime.LockOSThread()
		defer log.Close()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.failure = c.cmd.Wait()
		}
		close(c.ended)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	return c, nil
}

// running is an error with the component's last words when it has ended.
func (c *component) running() error {
	select {
	case <-c.ended:
		return fmt.Errorf("%s has ended: %v; it said last:\n%s", c.name, c.failure, lastLines(c.log, 10))
	default:
		return nil
	}
}

// stop asks the component to end, and kills it with all that it started when it does not in time.
func (c *component) stop() error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if c.running() != nil {
			return nil
		}
		if err := c.signal(signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		select {
		case <-c.ended:
			return nil
		case <-time.After(endLimit):
		}
	}
	return fmt.Errorf("end %s: process %d is still there %s after SIGKILL", c.name, c.cmd.Process.Pid, endLimit)
}

// signal sends a signal to the component and all that it started.
func (c *component) signal(signal syscall.Signal) error {
	if err := syscall.Kill(-c.cmd.Process.Pid, signal); err != nil {
		return fmt.Errorf("send %s to %s (process %d): %w", signal, c.name, c.cmd.Process.Pid, err)
	}
	return nil
}

// lastLines is the end of a file, for whoever reads an error.
func lastLines(file string, lines int) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
