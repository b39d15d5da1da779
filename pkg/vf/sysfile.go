package vf

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/nri-sriov/nri-sriov/pkg/failpoint"
	"golang.org/x/sys/unix"
)

var uplinkPort = regexp.MustCompile(`^p[0-9]+$`)

// uplink picks the PF's own interface: in switchdev mode the representors of its VFs stand beside it, told apart by
// phys_port_name, which an uplink has not or has as p0, p1, ….
func (h *Host) uplink(dir string, names []string) string {
	for _, name := range names {
		port, err := h.text(path.Join(dir, "net", name, "phys_port_name"))
		if err != nil || port == "" || uplinkPort.MatchString(port) {
			return name
		}
	}
	return ""
}

// interfaces sorts by port, then by name: an adapter with two ports on one function numbers them in dev_port.
func (h *Host) interfaces(dir string) ([]string, error) {
	names, err := h.readDir(path.Join(dir, "net"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	ports := map[string]int{}
	if len(names) > 1 {
		for _, name := range names {
			if port, err := h.number(path.Join(dir, "net", name, "dev_port")); err == nil {
				ports[name] = port
			}
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(ports[a], ports[b]), strings.Compare(a, b))
	})
	return names, err
}

func (h *Host) driver(dir string) (string, error) {
	target, err := h.sysfs.Readlink(path.Join(dir, "driver"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return path.Base(target), nil
}

func (h *Host) numaNode(dir string) int {
	node, err := h.number(path.Join(dir, "numa_node"))
	if err != nil {
		return -1
	}
	return node
}

func (h *Host) iommuGroup(dir string) int {
	target, err := h.sysfs.Readlink(path.Join(dir, "iommu_group"))
	if err != nil {
		return -1
	}
	group, err := strconv.Atoi(path.Base(target))
	if err != nil {
		return -1
	}
	return group
}

// instance is the number of a device's folder, which sysfs gives to no other one until 64 bits are used up.
func (h *Host) instance(dir string) uint64 {
	info, err := h.sysfs.Stat(dir)
	if err != nil {
		return 0
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}

func (h *Host) hexID(dir, file string) string {
	id, err := h.text(path.Join(dir, file))
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(id, "0x")
}

func (h *Host) readDir(name string) ([]string, error) {
	dir, err := h.sysfs.Open(name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.Readdirnames(-1)
}

func (h *Host) text(name string) (string, error) {
	content, err := h.sysfs.ReadFile(name)
	return strings.TrimSpace(string(content)), err
}

func (h *Host) number(name string) (int, error) {
	text, err := h.text(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// write opens without O_CREATE: creating in sysfs answers "permission denied" where "no such file" is meant. It writes past
// Go's poller, which would wait for ever where a driver answers EAGAIN.
func (h *Host) write(name, text string) error {
	file, err := h.sysfs.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for {
		if _, err = unix.Write(int(file.Fd()), []byte(text)); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	failpoint.Step(failpoint.Kernel)
	return errors.Join(err, file.Close())
}
