package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nri-sriov/nri-sriov/test/e2e/guest/protocol"
)

// boot makes the root, starts the agent and reaps. It returns only when
// something is wrong; the end of the agent is.
func boot() error {
	if err := mountAll(early); err != nil {
		return err
	}
	list, err := os.ReadFile(protocol.ModuleList)
	if err != nil {
		return fmt.Errorf("read the initramfs' list of modules: %w", err)
	}
	for _, file := range strings.Fields(string(list)) {
		if err := loadModule(file); err != nil {
			return err
		}
	}
	if err := waitFor("/dev/vda", 20*time.Second); err != nil {
		return err
	}
	if err := mountAll(root); err != nil {
		return err
	}
	if err := switchRoot("/new"); err != nil {
		return err
	}
	if err := mountAll(late); err != nil {
		return err
	}
	if err := mountState("/var/lib"); err != nil {
		return err
	}
	return reap()
}

// switchRoot makes dir the root. The initramfs cannot be left with pivot_root;
// a moved mount can, so that runc's own pivot_root works later.
func switchRoot(dir string) error {
	if err := unix.Chdir(dir); err != nil {
		return fmt.Errorf("enter the new root: %w", err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the new root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	// What containers mount must be able to propagate, as under systemd.
	if err := unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("share the root's mounts: %w", err)
	}
	return nil
}

// reap starts the agent and collects every process that loses its parent.
func reap() error {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "TERM=dumb", "LANG=C",
	}
	agent, err := syscall.ForkExec("/proc/self/exe", []string{"guest", "agent"}, &syscall.ProcAttr{
		Dir: "/", Env: env, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("start the agent: %w", err)
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return fmt.Errorf("wait for children: %w", err)
		case pid == agent:
			return fmt.Errorf("the agent ended: exit %d, signal %d", status.ExitStatus(), status.Signal())
		}
	}
}

func powerOff() {
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

// waitFor waits until path is there.
func waitFor(path string, limit time.Duration) error {
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("wait for %s: not there after %s", path, limit)
		}
	}
}
