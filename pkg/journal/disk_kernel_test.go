package journal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/journal/journaltest"
)

// TestFailingDisk: each fault of a disk is said with what mends it, and after the mend all is as if it had not been.
func TestFailingDisk(t *testing.T) {
	for fault, c := range map[string]struct {
		fail func(d *journaltest.Disk) (mend func())
		says string
	}{
		"Full":     {func(d *journaltest.Disk) func() { d.Fill(); return d.Mend }, "the disk is full: free some space there"},
		"ReadOnly": {func(d *journaltest.Disk) func() { d.ReadOnly(); return d.Mend }, "the disk is read-only: mount it writable again"},
		"InTheWay": {inTheWay, "something else lies where a folder or file of ours is to be: move it away"},
	} {
		t.Run(fault, func(t *testing.T) {
			d := journaltest.NewDisk(t)
			j := open(t, d.Dir)
			if err := errors.Join(j.Put("old", 1), j.Put("other", 1), j.Probe(t.Context())); err != nil {
				t.Fatal(err)
			}
			mend := c.fail(d)
			err := j.Put("new", 1)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("put says %v", err)
			}
			if trouble := j.Trouble(); trouble == nil || j.Errors() != 1 {
				t.Errorf("trouble %v, %d errors", trouble, j.Errors())
			}
			if err := j.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the probe says %v", err)
			}
			deleted := j.Delete("old")
			if fault != "Full" && fault != "InTheWay" && deleted == nil {
				t.Error("a read-only disk has let something go")
			}
			mend()
			if err := j.Probe(t.Context()); err != nil || j.Trouble() != nil {
				t.Fatalf("after the mend: %v", err)
			}
			if err := j.Put("new", 1); err != nil {
				t.Fatal(err)
			}
			if fault == "InTheWay" {
				return // what lay there is another folder's
			}
			if left := strings.Join(list(t, j), " "); left != "new.json other.json" {
				t.Errorf("after the mend there are %s", left)
			}
		})
	}
}

func inTheWay(d *journaltest.Disk) func() {
	name := filepath.Join(d.Dir, folder)
	if err := errors.Join(os.RemoveAll(name), os.WriteFile(name, nil, 0o600)); err != nil {
		panic(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			panic(err)
		}
	}
}

// TestMissingFolder: it is made again by the next write.
func TestMissingFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	j := open(t, dir)
	if err := errors.Join(j.Put("s1", 1), os.RemoveAll(dir)); err != nil {
		t.Fatal(err)
	}
	if records, broken := mustLoad(t, j); len(records)+len(broken) != 0 {
		t.Errorf("%v, %v", records, broken)
	}
	if err := errors.Join(j.Delete("s1"), j.Put("s2", 2), j.Probe(t.Context())); err != nil {
		t.Error(err)
	}
	for path, mode := range map[string]fs.FileMode{dir: 0o755, j.dir: 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
	}
}

// TestFolderThatCannotBeMade: opening is no error, and a write that comes later makes it.
func TestFolderThatCannotBeMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j := open(t, dir)
	if j.Trouble() == nil || j.Put("s1", 1) == nil {
		t.Error("no trouble")
	}
	if _, _, err := j.Load(); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("load says %v", err)
	}
	if err := errors.Join(os.Remove(dir), j.Probe(t.Context()), j.Put("s1", 1)); err != nil {
		t.Error(err)
	}
}

// TestReadOnlyDiskKeepsBrokenRecords: what cannot be set aside is reported with the reason, and passed over.
func TestReadOnlyDiskKeepsBrokenRecords(t *testing.T) {
	d := journaltest.NewDisk(t)
	j := open(t, d.Dir)
	name := filepath.Join(j.dir, "s1.json")
	if err := errors.Join(os.WriteFile(name, nil, 0o600), j.Put("s2", 2)); err != nil {
		t.Fatal(err)
	}
	d.ReadOnly()
	records, broken := mustLoad(t, j)
	if len(records) != 1 || len(broken) != 1 || broken[0].Aside || broken[0].Path != name || j.AsideCount() != 0 ||
		!strings.Contains(broken[0].Reason.Error(), "cannot be set aside") {
		t.Errorf("%v, %v", records, broken)
	}
}

// TestOldRecordIsPaidBeforeTheNext: a record that names a VF is brought up to date before anything is put that may name
// the same VF.
func TestOldRecordIsPaidBeforeTheNext(t *testing.T) {
	d := journaltest.NewDisk(t)
	j := open(t, d.Dir)
	if err := errors.Join(j.Put("gone", 1), j.Put("changed", 1)); err != nil {
		t.Fatal(err)
	}
	d.ReadOnly()
	if j.Delete("gone") == nil || j.Put("changed", 2) == nil || j.Put("changed", 3) == nil {
		t.Fatal("a read-only disk was written")
	}
	d.Mend()
	// The old record cannot be removed yet, so that nothing new is put.
	gone := filepath.Join(j.dir, "gone.json")
	if err := errors.Join(os.Remove(gone), os.MkdirAll(filepath.Join(gone, "inside"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := j.Put("next", 1); err == nil || !strings.Contains(err.Error(), "the record of sandbox gone is to be brought up to date first") {
		t.Errorf("put says %v", err)
	}
	if _, err := os.Stat(filepath.Join(j.dir, "next.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the next record is there: %v", err)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(gone, "inside")), j.Put("next", 1)); err != nil {
		t.Fatal(err)
	}
	if left := strings.Join(list(t, j), " "); left != "changed.json next.json" {
		t.Errorf("%s", left)
	}
	records, _ := mustLoad(t, j)
	if string(records[0].Value) != "3" {
		t.Errorf("the record that could not be changed is %s", records[0].Value)
	}
}

// TestDiskDoesNotAnswer: a probe that hangs is trouble, and is not begun anew until it has ended.
func TestDiskDoesNotAnswer(t *testing.T) {
	j := open(t, t.TempDir())
	hanging := make(chan struct{})
	j.probing = hanging
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := j.Probe(ctx); err == nil || !strings.Contains(err.Error(), "the disk does not answer") {
		t.Errorf("the probe says %v", err)
	}
	j.probing = nil
	if err := j.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}
