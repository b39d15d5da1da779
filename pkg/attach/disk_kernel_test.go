package attach_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
)

// disk is a small file system in a mount namespace of its own, which ends with its thread. Everybody in this process
// gets to it through the thread's root.
type disk struct {
	*testing.T
	// dir is the path for everybody, inside for the thread.
	dir, inside string
	do          chan func() error
	done        chan error
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{T: t, inside: t.TempDir(), do: make(chan func() error), done: make(chan error)}
	thread := make(chan int)
	go func() {
		runtime.LockOSThread()
		thread <- syscall.Gettid()
		for step := range d.do {
			d.done <- step()
		}
	}()
	d.dir = fmt.Sprintf("/proc/%d/task/%d/root%s", os.Getpid(), <-thread, d.inside)
	t.Cleanup(func() { close(d.do) })
	err := d.step(func() error {
		if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
			return err
		}
		if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			return err
		}
		return syscall.Mount("tmpfs", d.inside, "tmpfs", 0, "size=256k,nr_inodes=64")
	})
	if err != nil {
		if os.Getenv("NRI_SRIOV_REQUIRE_KERNEL") != "" {
			t.Fatalf("a tmpfs in a private mount namespace (CAP_SYS_ADMIN): %v", err)
		}
		t.Skipf("a tmpfs in a private mount namespace (CAP_SYS_ADMIN) is missing here: %v", err)
	}
	return d
}

func (d *disk) step(do func() error) error {
	d.do <- do
	return <-d.done
}

func (d *disk) must(do func() error) {
	d.Helper()
	if err := d.step(do); err != nil {
		d.Fatal(err)
	}
}

// fill writes until nothing fits any more.
func (d *disk) fill() error {
	for i := 0; ; i++ {
		if err := os.WriteFile(filepath.Join(d.inside, fmt.Sprint("fill", i)), make([]byte, 4096), 0o600); err != nil {
			return nil
		}
	}
}

func (d *disk) remount(flags uintptr) error {
	return syscall.Mount("", d.inside, "", syscall.MS_REMOUNT|flags, "")
}

// TestDiskThatTakesNothing: a pod that comes fails before anything is changed, one that goes gives its VF back clean, and
// when the disk is well again so is all the rest.
func TestDiskThatTakesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		why  string
		harm func(d *disk) error
		mend func(d *disk) error
	}{
		"full": {"no space left on device", (*disk).fill, func(d *disk) error {
			fills, err := filepath.Glob(d.inside + "/fill*")
			for _, one := range fills {
				err = os.Remove(one)
			}
			return err
		}},
		"read-only": {
			"read-only file system",
			func(d *disk) error { return d.remount(syscall.MS_RDONLY) },
			func(d *disk) error { return d.remount(0) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Attr("fault", "27")
			d := newDisk(t)
			b := start(t, attachtest.NewWorld(1, 2), d.dir)
			b.mustAttach("old", want(100, "net1"))
			d.must(func() error { return c.harm(d) })
			if err := b.Attach(sandbox("new"), []attach.Want{want(200, "net1")}, false); err != nil {
				t.Fatal(err)
			}
			_, err := b.Ready(t.Context(), "new")
			if err == nil || !strings.Contains(err.Error(), "nothing was changed: write the journal") || !strings.Contains(err.Error(), c.why) {
				t.Errorf("the gate says %v", err)
			}
			b.eventually("0000:01:10.0 attached old\n0000:01:10.0 net1 in \"pod\" vlan 100")
			b.Release("old")
			b.eventually("")
			b.gone("old")
			after := restart(b) // a record of what is gone may be left
			after.Reconcile(nil)
			after.Release("old")
			after.eventually("")
			d.must(func() error { return c.mend(d) })
			after.mustAttach("next", want(300, "net1"))
			after.Release("next")
			after.eventually("")
			after.gone("next")
			if left := after.files("sandboxes/next.json"); len(left) != 0 {
				t.Errorf("traces left: %v", left)
			}
		})
	}
}
