package dpdk

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// HugepagePool counts the huge pages of one size, of one NUMA node or of all.
type HugepagePool struct {
	// NUMANode is -1 for the sum of all nodes.
	NUMANode int
	// SizeKB is the size of one page in KiB: 2048, 1048576.
	SizeKB int
	// Total are those that the kernel has set aside, Free those that nobody has.
	Total, Free int
}

// Hugepages lists the pools by size, the sum of all NUMA nodes before each node.
func (h *Host) Hugepages() ([]HugepagePool, error) {
	pools, err := h.hugepagesIn("kernel/mm/hugepages", -1)
	if err != nil {
		return nil, fmt.Errorf("count the huge pages: %w", err)
	}
	nodes, err := h.readDir("devices/system/node")
	if err != nil {
		return nil, fmt.Errorf("count the huge pages: %w", err)
	}
	for _, name := range nodes {
		number, ok := strings.CutPrefix(name, "node")
		node, err := strconv.Atoi(number)
		if !ok || err != nil {
			continue
		}
		one, err := h.hugepagesIn(path.Join("devices/system/node", name, "hugepages"), node)
		if err != nil {
			return nil, fmt.Errorf("count the huge pages of NUMA node %d: %w", node, err)
		}
		pools = append(pools, one...)
	}
	slices.SortFunc(pools, func(a, b HugepagePool) int {
		return cmp.Or(a.SizeKB-b.SizeKB, a.NUMANode-b.NUMANode)
	})
	return pools, nil
}

func (h *Host) hugepagesIn(dir string, node int) ([]HugepagePool, error) {
	names, err := h.readDir(dir)
	if err != nil {
		return nil, err
	}
	var pools []HugepagePool
	for _, name := range names {
		size, ok := parsePageSize(name)
		if !ok {
			continue
		}
		total, err1 := h.count(path.Join(dir, name, "nr_hugepages"))
		free, err2 := h.count(path.Join(dir, name, "free_hugepages"))
		if err := errors.Join(err1, err2); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		pools = append(pools, HugepagePool{node, size, total, free})
	}
	return pools, nil
}

// parsePageSize reads a folder's name such as hugepages-2048kB, in KiB.
func parsePageSize(name string) (int, bool) {
	text, ok1 := strings.CutPrefix(name, "hugepages-")
	text, ok2 := strings.CutSuffix(text, "kB")
	size, err := strconv.ParseUint(text, 10, 31)
	return int(size), ok1 && ok2 && err == nil && size > 0
}

func (h *Host) count(name string) (int, error) {
	text, err := h.text(name)
	if err != nil {
		return 0, err
	}
	count, err := strconv.ParseUint(text, 10, 31)
	return int(count), err
}

// OpenHugetlbfs opens the folder where a hugetlbfs is mounted; a folder of another file system is refused.
func OpenHugetlbfs(mount string) (*os.Root, error) {
	root, err := os.OpenRoot(mount)
	if err != nil {
		return nil, fmt.Errorf("open the hugetlbfs: %w: mount -t hugetlbfs none %s", err, mount)
	}
	if err := checkHugetlbfs(root); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", mount, err), root.Close())
	}
	return root, nil
}

func checkHugetlbfs(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	var found syscall.Statfs_t
	if err := syscall.Fstatfs(int(dir.Fd()), &found); err != nil {
		return fmt.Errorf("look what is mounted there: %w", err)
	}
	if uint32(found.Type) != hugetlbfsMagic {
		return errors.New("no hugetlbfs is mounted there: mount one, or name the place where one is")
	}
	return nil
}
