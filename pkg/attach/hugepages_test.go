package attach_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
)

func hugepagesIn(t *testing.T, dir string) *attach.Hugepages {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	h, err := attach.HugepagesIn(dir, root)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHugepagesOfContainers(t *testing.T) {
	dir := t.TempDir()
	h := hugepagesIn(t, dir)
	owner := &attach.Owner{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	if os.Getuid() == 0 {
		owner = &attach.Owner{UID: 1000, GID: 2000}
	}
	made, err := h.Make("s1", "app", owner)
	if err != nil || made != filepath.Join(dir, "nri-sriov/s1/app") {
		t.Fatalf("made %s, %v", made, err)
	}
	if err := os.WriteFile(filepath.Join(made, "rtemap_0"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := h.Make("s1", "app", owner); err != nil || again != made {
		t.Errorf("the second time: %s, %v", again, err)
	}
	if _, err := os.Stat(filepath.Join(made, "rtemap_0")); err != nil {
		t.Errorf("a restarted container does not find its files: %v", err)
	}
	if _, err := h.Make("s1", "any", nil); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]fs.FileMode{"nri-sriov": 0o700, "nri-sriov/s1": 0o700, "nri-sriov/s1/app": 0o700, "nri-sriov/s1/any": 0o777} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s is %v, %v", path, info.Mode(), err)
		}
		if stat := info.Sys().(*syscall.Stat_t); path == "nri-sriov/s1/app" && (stat.Uid != owner.UID || stat.Gid != owner.GID) {
			t.Errorf("%s belongs to %d:%d", path, stat.Uid, stat.Gid)
		}
	}
}

// TestHugepagesGoWithTheirSandbox: links that a container leaves lead nowhere.
func TestHugepagesGoWithTheirSandbox(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	h := hugepagesIn(t, dir)
	kept := filepath.Join(outside, "kept")
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sandbox := range []string{"s1", "s2", "s3"} {
		made, err := h.Make(sandbox, "app", nil)
		if err == nil {
			err = errors.Join(os.Symlink(outside, filepath.Join(made, "out")), os.Symlink(kept, filepath.Join(made, "file")))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(h.Remove("s1"), h.Remove("s1"), h.Remove("never")); err != nil {
		t.Error(err)
	}
	if err := h.Retain(func(sandbox string) bool { return sandbox == "s3" }); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "nri-sriov/*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "s3" {
		t.Errorf("left are %v, %v", left, err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}

func TestHugepagesStayInTheirMount(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	h := hugepagesIn(t, dir)
	if err := os.Symlink(outside, filepath.Join(dir, "nri-sriov/s1")); err != nil {
		t.Fatal(err)
	}
	if made, err := h.Make("s1", "app", nil); err == nil {
		t.Errorf("made %s through a link", made)
	}
	for _, bad := range []string{"../..", "..", ".", ""} {
		if made, err := h.Make(bad, "../x", nil); err == nil && !strings.HasPrefix(made, dir+"/nri-sriov/") {
			t.Errorf("made %s", made)
		}
		if err := h.Remove(bad); err == nil {
			if _, err := os.Stat(filepath.Join(dir, "nri-sriov")); err != nil {
				t.Errorf("removing %q: %v", bad, err)
			}
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 0 {
		t.Errorf("outside are %v, %v", entries, err)
	}
}

// TestHugepagesTakeTheirFolder: one that is left from before is taken over, and closed to all others.
func TestHugepagesTakeTheirFolder(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "nri-sriov")
	if err := errors.Join(os.MkdirAll(filepath.Join(folder, "s1"), 0o755), os.Chmod(folder, 0o777)); err != nil {
		t.Fatal(err)
	}
	hugepagesIn(t, dir)
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("it is %v, %v", info.Mode(), err)
	}
	other := t.TempDir()
	if err := os.Symlink(dir, filepath.Join(other, "nri-sriov")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attach.HugepagesIn(other, root); err == nil || !strings.Contains(err.Error(), "is no folder but") {
		t.Errorf("a link in its place: %v", err)
	}
}

func TestOtherFileSystemsAreNoHugepages(t *testing.T) {
	dir := t.TempDir()
	if _, err := attach.OpenHugepages(dir); err == nil || !strings.Contains(err.Error(), dir+": no hugetlbfs is mounted there") {
		t.Errorf("the refusal is %v", err)
	}
	if _, err := attach.OpenHugepages(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the refusal is %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("made were %v, %v", entries, err)
	}
}
