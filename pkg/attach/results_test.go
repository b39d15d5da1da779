package attach_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
)

// TestRunFolderIsMadeAgain: with the modes that it had, since what containers are told may hold the token of a device.
func TestRunFolderIsMadeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	r, err := attach.OpenResults(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := r.WriteNetworks("s1", "c1", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := r.Write("s1", []attach.Attachment{{Interface: "net1", Result: []byte("{}")}}); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"networks": 0o700, "results": 0o755, "results/s1": 0o755, "results/s1/net1.json": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if err := r.Retain(func(string) bool { return false }); err != nil {
		t.Error(err)
	}
}

// TestRunFolderInTheWay: opening it is an error to be said, and no reason to end; what lies where a file is to be is no
// trap.
func TestRunFolderInTheWay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := attach.OpenResults(dir)
	if err == nil || r.Check("s1") == nil {
		t.Error("a file was taken for a folder")
	}
	if _, err := attach.OpenBound(dir); err == nil {
		t.Error("a file was taken for a folder")
	}
	if err := r.Remove("s1"); err != nil {
		t.Errorf("there is nothing to remove: %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := r.Check("s1"); err != nil {
		t.Error(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "results/s1/net1.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Write("s1", []attach.Attachment{{Interface: "net1", Result: []byte("{}")}}); err != nil {
		t.Error(err)
	}
}
