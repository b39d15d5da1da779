// Package journaltest has disks that fail, for tests: a tmpfs that is full or read-only.
package journaltest

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Disk is a small tmpfs of one test.
type Disk struct {
	Dir string
	t   *testing.T
}

const options = "size=256k"

// NewDisk mounts one. It needs root: without it the test is skipped or, where NRI_SRIOV_REQUIRE_KERNEL is set, fails.
func NewDisk(t *testing.T) *Disk {
	t.Helper()
	d := &Disk{Dir: t.TempDir(), t: t}
	if err := syscall.Mount("tmpfs", d.Dir, "tmpfs", 0, options); err != nil {
		if os.Getenv("NRI_SRIOV_REQUIRE_KERNEL") != "" {
			t.Fatalf("a tmpfs cannot be mounted: %v", err)
		}
		t.Skipf("a tmpfs cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.Dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return d
}

// Fill takes all space that is left.
func (d *Disk) Fill() {
	d.t.Helper()
	file, err := os.Create(filepath.Join(d.Dir, "filler"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatal(err)
	}
}

// ReadOnly makes it read-only.
func (d *Disk) ReadOnly() {
	d.t.Helper()
	if err := syscall.Mount("", d.Dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, options); err != nil {
		d.t.Fatal(err)
	}
}

// Mend takes back what Fill and ReadOnly have done.
func (d *Disk) Mend() {
	d.t.Helper()
	if err := syscall.Mount("", d.Dir, "", syscall.MS_REMOUNT, options); err != nil {
		d.t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(d.Dir, "filler")); err != nil {
		d.t.Fatal(err)
	}
}
