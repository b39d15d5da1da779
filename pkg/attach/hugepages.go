package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
)

// hugepagesDir is what belongs to this daemon in a hugetlbfs.
const hugepagesDir = "nri-sriov"

// Hugepages are the folders of containers in a hugetlbfs of the host: nri-sriov/<sandbox id>/<container name> below its
// mount. The pages of a file are taken for as long as it is there, so the folders go with their sandbox.
type Hugepages struct {
	mount string
	// root is the folder nri-sriov.
	root *os.Root
}

// Owner is the user that a container runs as, in the host's numbers.
type Owner struct{ UID, GID uint32 }

// OpenHugepages takes the place where a hugetlbfs is mounted, in the host and in containers; anything else that may be
// there is refused.
func OpenHugepages(mount string) (*Hugepages, error) {
	root, err := dpdk.OpenHugetlbfs(mount)
	if err != nil {
		return nil, err
	}
	return HugepagesIn(mount, root)
}

// HugepagesIn makes the folder nri-sriov in a hugetlbfs that is open, and closes root.
func HugepagesIn(mount string, root *os.Root) (*Hugepages, error) {
	defer root.Close()
	h := &Hugepages{mount: mount}
	err := root.Mkdir(hugepagesDir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		err = claimDir(root, hugepagesDir)
	}
	if err == nil {
		h.root, err = root.OpenRoot(hugepagesDir)
	}
	if err != nil {
		return nil, fmt.Errorf("make the folder of huge pages below %s: %w", mount, err)
	}
	return h, nil
}

// claimDir keeps everybody else out of a folder that was there: where the mount is open to all, it may be anybody's.
func claimDir(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no folder but %s: remove it", name, info.Mode())
	}
	return errors.Join(root.Chown(name, os.Geteuid(), os.Getegid()), root.Chmod(name, 0o700))
}

// Mount is where the hugetlbfs is mounted.
func (h *Hugepages) Mount() string { return h.mount }

// Make makes a container's folder, or finds it again, and gives its path in the host. Names were checked where they came
// in. Nobody but owner may write to it; nil is whoever gets to it, and through the folders above only root does.
func (h *Hugepages) Make(sandbox, container string, owner *Owner) (string, error) {
	name := filepath.Join(sandbox, container)
	err := h.root.MkdirAll(name, 0o700)
	switch {
	case err != nil:
	case owner == nil:
		err = h.root.Chmod(name, 0o777)
	default:
		err = errors.Join(h.root.Chmod(name, 0o700), h.root.Chown(name, int(owner.UID), int(owner.GID)))
	}
	if err != nil {
		return "", fmt.Errorf("make the folder of huge pages of container %s: %w", container, err)
	}
	return filepath.Join(h.mount, hugepagesDir, name), nil
}

// Remove gives back the huge pages of a sandbox; nothing is success. It may take a while: do not call it in a hook.
func (h *Hugepages) Remove(sandbox string) error {
	if err := h.root.RemoveAll(sandbox); err != nil {
		return fmt.Errorf("give back the huge pages of sandbox %s: %w", sandbox, err)
	}
	return nil
}

// Retain gives back the huge pages of sandboxes that are not known. It may take a while, too.
func (h *Hugepages) Retain(known func(sandbox string) bool) error {
	entries, err := fs.ReadDir(h.root.FS(), ".")
	if err != nil {
		return fmt.Errorf("list the folders of huge pages: %w", err)
	}
	var failed []error
	for _, one := range entries {
		if !known(one.Name()) {
			failed = append(failed, h.Remove(one.Name()))
		}
	}
	return errors.Join(failed...)
}
