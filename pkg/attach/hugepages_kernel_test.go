package attach_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
)

// TestHugepagesInAHugetlbfs mounts one in a mount namespace of its own, which ends with its thread.
func TestHugepagesInAHugetlbfs(t *testing.T) {
	dir := t.TempDir()
	var missing, err error
	var made string
	var mode os.FileMode
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if missing = syscall.Unshare(syscall.CLONE_NEWNS); missing == nil {
			missing = syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
		}
		if missing == nil {
			missing = syscall.Mount("hugetlbfs", dir, "hugetlbfs", 0, "")
		}
		if missing != nil {
			return
		}
		var h *attach.Hugepages
		if h, err = attach.OpenHugepages(dir); err != nil {
			return
		}
		var info os.FileInfo
		if made, err = h.Make("s1", "app", &attach.Owner{UID: 1000, GID: 1000}); err != nil {
			return
		}
		if info, err = os.Stat(made); err == nil {
			mode, err = info.Mode(), h.Remove("s1")
		}
	}()
	<-done
	if missing != nil {
		if os.Getenv("NRI_SRIOV_REQUIRE_KERNEL") != "" {
			t.Fatalf("a hugetlbfs in a private mount namespace (CAP_SYS_ADMIN): %v", missing)
		}
		t.Skipf("a hugetlbfs in a private mount namespace (CAP_SYS_ADMIN) is missing here: %v", missing)
	}
	if err != nil || mode != os.ModeDir|0o700 || made != filepath.Join(dir, "nri-sriov/s1/app") {
		t.Errorf("made %s with %v, %v", made, mode, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("the test's mount is not private: %v, %v", left, err)
	}
}
