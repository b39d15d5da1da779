package daemon

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// Unit is the daemon's systemd unit.
const Unit = "nri-sriov.service"

// Places in the guest.
const (
	unitsDir    = "/etc/systemd/system"
	modulesFile = "/etc/modules-load.d/nri-sriov.conf"
	logFile     = "/var/log/nri-sriov.log"
)

// modules are those that an operator has loaded at boot, because the unit does not let the daemon.
const modules = "vfio-pci\nvhost_net\ntun\n"

// installUnit does what `make install` does with the unit, under a name, and has systemd load the modules.
func installUnit(ctx context.Context, guest *lab.Guest, name string) (*Daemon, error) {
	root, err := lab.ModuleRoot(ctx)
	if err != nil {
		return nil, err
	}
	unit, err := os.ReadFile(filepath.Join(root, "configs", "systemd", Unit))
	if err != nil {
		return nil, err
	}
	err = cmp.Or(guest.WriteFile(ctx, filepath.Join(unitsDir, name), 0o644, unit), guest.WriteFile(ctx, modulesFile, 0o644, []byte(modules)))
	if err == nil {
		_, err = guest.Shell(ctx, "systemctl daemon-reload; systemctl start systemd-modules-load.service")
	}
	if err != nil {
		return nil, fmt.Errorf("install %s: %w", name, err)
	}
	return &Daemon{guest: guest, unit: name}, nil
}

func (d *Daemon) dropInFile() string { return "/run/systemd/system/" + d.unit + ".d/lab.conf" }

// dropIn is what a test varies: arguments, environment, and more lines of the section Service. The lab reads a file and
// not a journal, and starts the daemon again itself. Everything else is the unit's.
func (d *Daemon) dropIn(args []string) string {
	var text strings.Builder
	text.WriteString("[Service]\nRestart=no\nExecStart=\n")
	fmt.Fprintf(&text, "ExecStart=%s run --log-level debug", Binary)
	for _, arg := range args {
		fmt.Fprintf(&text, " %s", strings.ReplaceAll(quote(arg), "$", "$$"))
	}
	for _, variable := range d.Env {
		fmt.Fprintf(&text, "\nEnvironment=%s", quote(variable))
	}
	fmt.Fprintf(&text, "\nStandardOutput=append:%[1]s\nStandardError=append:%[1]s\n", logFile)
	for _, line := range d.Directives {
		fmt.Fprintln(&text, line)
	}
	return text.String()
}

// quote keeps systemd from reading anything into a word. In Environment= a $ means nothing; elsewhere $$ is one.
func quote(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%").Replace(word) + `"`
}

// Process is the daemon as systemd runs it, from one start to its end.
type Process struct {
	guest *lab.Guest
	unit  string
	pid   int
}

// launched is the process that systemd started last; it may have ended again.
func launched(ctx context.Context, guest *lab.Guest, unit string) (*Process, error) {
	state, err := status(ctx, guest, unit)
	if err != nil {
		return nil, err
	}
	if state.pid == 0 {
		return nil, fmt.Errorf("start %s: systemd started no process: %+v", unit, state)
	}
	return &Process{guest: guest, unit: unit, pid: state.pid}, nil
}

// PID is the process's number in the guest.
func (p *Process) PID() int { return p.pid }

// Log is the file in the guest that has its output.
func (p *Process) Log() string { return logFile }

// Signal sends a signal to the daemon alone; one to a process that has ended does nothing.
func (p *Process) Signal(ctx context.Context, signal syscall.Signal) error {
	running, err := p.Running(ctx)
	if err != nil || !running {
		return err
	}
	_, err = p.guest.Run(ctx, "systemctl", "kill", "--kill-whom=main", "--signal="+strconv.Itoa(int(signal)), p.unit)
	if err != nil {
		if running, _ := p.Running(ctx); !running {
			return nil
		}
	}
	return err
}

// Running says whether the process, or anything that it started, has not ended.
func (p *Process) Running(ctx context.Context) (bool, error) {
	state, err := status(ctx, p.guest, p.unit)
	return err == nil && state.pid == p.pid && state.running, err
}

// Wait waits for the end of the process and of all that it started, and returns its exit code (128 and the signal's
// number when killed). After the time it returns os.ErrDeadlineExceeded.
func (p *Process) Wait(ctx context.Context, limit time.Duration) (int, error) {
	for end := time.Now().Add(limit); ; {
		state, err := status(ctx, p.guest, p.unit)
		switch {
		case err != nil:
			return 0, err
		case state.pid == 0 && !state.running:
			return 0, nil // systemd forgets a unit that has ended well and that nothing refers to
		case state.pid != p.pid:
			return 0, fmt.Errorf("wait for %s: process %d came after %d", p.unit, state.pid, p.pid)
		case !state.running:
			return state.code, nil
		case time.Now().After(end):
			return 0, fmt.Errorf("wait for %s: still running after %s: %w", p.unit, limit, os.ErrDeadlineExceeded)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for %s: %w", p.unit, ctx.Err())
		}
	}
}

// unitStatus is what systemd knows of the daemon's last process.
type unitStatus struct {
	pid, code int
	running   bool
}

func status(ctx context.Context, guest *lab.Guest, unit string) (unitStatus, error) {
	output, err := guest.Run(ctx, "systemctl", "show", "--property=ActiveState,ExecMainPID,ExecMainCode,ExecMainStatus", unit)
	if err != nil {
		return unitStatus{}, fmt.Errorf("ask systemd for %s: %w", unit, err)
	}
	state, err := readStatus(output.Stdout)
	if err != nil {
		return state, fmt.Errorf("ask systemd for %s: %w", unit, err)
	}
	return state, nil
}

// readStatus reads systemctl's lines name=value. ExecMainCode is waitid's si_code: 1 for an exit, else a signal.
func readStatus(text string) (unitStatus, error) {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = value
	}
	pid, err := strconv.Atoi(values["ExecMainPID"])
	how, err2 := strconv.Atoi(values["ExecMainCode"])
	code, err3 := strconv.Atoi(values["ExecMainStatus"])
	if err := cmp.Or(err, err2, err3); err != nil {
		return unitStatus{}, fmt.Errorf("%w in %q", err, text)
	}
	const exited = 1 // CLD_EXITED
	if how > exited {
		code += 128
	}
	over := slices.Contains([]string{"inactive", "failed"}, values["ActiveState"])
	return unitStatus{pid: pid, code: code, running: !over}, nil
}
