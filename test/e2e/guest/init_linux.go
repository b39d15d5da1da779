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

// boot makes the root, has the agent started and becomes systemd. It returns
// only when something is wrong.
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
	return handOver()
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

// systemd is Debian's own, as process 1 like on any node; what it starts by itself was taken out of the image.
const systemd = "/usr/lib/systemd/systemd"

var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root", "TERM=dumb", "LANG=C",
}

// handOver starts the agent's keeper and becomes systemd. Both go on at once.
func handOver() error {
	if _, err := again("keeper"); err != nil {
		return err
	}
	argv := []string{systemd, "--unit=basic.target", "--log-target=kmsg", "--show-status=no"}
	return fmt.Errorf("become systemd: %w", unix.Exec(systemd, argv, environment))
}

// again starts this program in another role, in a session of its own. Its file is gone with the initramfs, but not what
// this process holds of it.
func again(role string) (int, error) {
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"guest", role}, &syscall.ProcAttr{
		Dir: "/", Env: environment, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, fmt.Errorf("start the %s: %w", role, err)
	}
	return pid, nil
}

// keep starts the agent and waits for it. It returns only when something is wrong; the end of the agent is, and the
// machine must not outlive it: the host would wait for an answer.
func keep() error {
	agent, err := again("agent")
	if err != nil {
		return err
	}
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(agent, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return fmt.Errorf("wait for the agent: %w", err)
		default:
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
