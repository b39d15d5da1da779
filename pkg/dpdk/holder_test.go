package dpdk_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"golang.org/x/sys/unix"
)

// process makes one with open files below a folder that stands for /proc.
func process(t *testing.T, proc, pid, comm string, open ...string) {
	t.Helper()
	fds := filepath.Join(proc, pid, "fd")
	if err := os.MkdirAll(fds, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(proc, pid, "comm"), []byte(comm+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, target := range open {
		if err := os.Symlink(target, filepath.Join(fds, string(rune('0'+i)))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHolders(t *testing.T) {
	proc := t.TempDir()
	process(t, proc, "200", "dpdk-testpmd", "/dev/null", "/dev/vfio/vfio", "/dev/vfio/12", "/dev/vfio/12")
	process(t, proc, "30", "qemu", "/dev/vfio/13 (deleted)", "anon_inode:[vfio-device]")
	process(t, proc, "31", "sh", "/dev/vfio/120", "/dev/vfio/1", "socket:[12]")
	process(t, proc, "self", "not a process", "/dev/vfio/12")
	if err := os.Mkdir(filepath.Join(proc, "32"), 0o755); err != nil { // ended: it has no fd
		t.Fatal(err)
	}
	holders, err := dpdk.Holders(t.Context(), proc, "/dev/vfio/12", "/dev/vfio/13")
	if err != nil {
		t.Fatal(err)
	}
	wanted := []dpdk.Holder{{PID: 30, Comm: "qemu", Path: "/dev/vfio/13"}, {PID: 200, Comm: "dpdk-testpmd", Path: "/dev/vfio/12"}}
	if diff := cmp.Diff(wanted, holders); diff != "" {
		t.Error(diff)
	}
	if text := holders[1].String(); text != "dpdk-testpmd (pid 200) holds /dev/vfio/12" {
		t.Error(text)
	}
}

func TestHoldersOnThisMachine(t *testing.T) {
	name, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	name = filepath.Join(name, "node")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, change := range []func() error{func() error { return nil }, func() error { return os.Remove(name) }} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		// As an ordinary user the error says that other processes are hidden; this one is seen in any case.
		holders, _ := dpdk.Holders(t.Context(), "/proc", name)
		if len(holders) != 1 || holders[0].PID != os.Getpid() || holders[0].Comm == "" {
			t.Errorf("holders %v", holders)
		}
	}
}

func TestHoldersCalledOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dpdk.Holders(ctx, "/proc", "/dev/vfio/12"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestHoldersHidden: a process whose files may not be looked at is not taken for one that holds nothing. Root may look at
// all, so that root's thread looks with an ordinary user's rights.
func TestHoldersHidden(t *testing.T) {
	proc := t.TempDir()
	process(t, proc, "30", "qemu", "/dev/vfio/12")
	process(t, proc, "31", "secret")
	err := errors.Join(os.Chmod(filepath.Join(proc, "31", "fd"), 0), os.Chmod(proc, 0o755), os.Chmod(filepath.Dir(proc), 0o755))
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := unix.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := unix.Setfsuid(0); err != nil {
				t.Error(err)
			}
		}()
	}
	holders, err := dpdk.Holders(t.Context(), proc, "/dev/vfio/12")
	said(t, err, "may not be read: 1", "run as root")
	if len(holders) != 1 {
		t.Errorf("holders %v", holders)
	}
}

// TestHoldersThatCallThemselvesAnything: a process of a pod chooses its own name.
func TestHoldersThatCallThemselvesAnything(t *testing.T) {
	proc := t.TempDir()
	for pid, comm := range map[string]string{"1": "a\nlevel=error", "2": "\x1b[2Jroot", "3": "\xff\xfe", "4": " a b ", "5": ""} {
		process(t, proc, pid, comm, "/dev/vfio/12")
	}
	holders, err := dpdk.Holders(t.Context(), proc, "/dev/vfio/12")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range holders {
		names = append(names, one.Comm)
	}
	if diff := cmp.Diff([]string{"a?level=error", "?[2Jroot", "??", " a b ", ""}, names); diff != "" {
		t.Error(diff)
	}
}
