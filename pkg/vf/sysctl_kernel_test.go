package vf_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/nri-sriov/nri-sriov/pkg/vf/vftest"
)

// TestIgnoreRoutersInAContainer: where /proc/sys is read-only, as in containers, the host's own is written.
func TestIgnoreRoutersInAContainer(t *testing.T) {
	vftest.InPrivateNamespace(t, func() {}) // skips, or fails, without root
	const setting = "/proc/sys/net/ipv6/conf/lo/accept_ra"
	runtime.LockOSThread() // so that the other goroutine has another thread, and this one keeps its mounts
	defer runtime.UnlockOSThread()
	defer vf.SetFirstProcess(fmt.Sprintf("/proc/%d/task/%d", os.Getpid(), vftest.ThreadID()))()
	said := make(chan error, 1)
	go func() { // on a thread that ends with its namespaces
		runtime.LockOSThread()
		said <- func() error {
			err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWNET)
			if err == nil {
				err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
			}
			if err == nil {
				err = os.WriteFile(setting, []byte("1"), 0)
			}
			if err == nil {
				err = unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND, "")
			}
			if err == nil {
				err = unix.Mount("", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
			}
			if err != nil {
				return err
			}
			if err := os.WriteFile(setting, []byte("1"), 0); !errors.Is(err, unix.EROFS) {
				return errors.New("/proc/sys is writable all the same")
			}
			if err := (&vf.Host{}).IgnoreRouters("lo"); err != nil {
				return err
			}
			text, err := os.ReadFile(setting)
			if err == nil && strings.TrimSpace(string(text)) != "0" {
				err = errors.New("accept_ra is " + string(text))
			}
			return err
		}()
	}()
	if err := <-said; err != nil {
		t.Fatal(err)
	}
}
