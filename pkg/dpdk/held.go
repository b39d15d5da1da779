package dpdk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// ErrHeld says that a process has a device open: unbinding it would block until it lets go, with the device locked.
var ErrHeld = errors.New("a process holds it open")

// Busy asks the kernel whether somebody has the device's IOMMU group open: it lets in one at a time (EBUSY of
// vfio_group_fops_open, for as long as a file of one of the group's devices is open). It says nothing of uio.
func (h *Host) Busy(address vf.PCIAddress) (bool, error) {
	group, err := h.Group(address)
	if err != nil || group.Number < 0 {
		return false, err
	}
	// Past os.File: nothing of the node is to be polled or kept.
	fd, err := syscall.Open(path.Join(h.devDir, group.node()), syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.EBUSY) {
		return true, nil
	}
	if err != nil {
		return false, nil // no node, or one that this process may not open: Unheld looks at the processes
	}
	return false, syscall.Close(fd)
}

// Unheld answers nil when nobody has a device open that is bound to a driver for user space, else ErrHeld with the
// processes by name. procDir is the host's /proc. Where the processes may not be looked at and the kernel does not tell
// otherwise, the device counts as held.
func (h *Host) Unheld(ctx context.Context, procDir string, address vf.PCIAddress) error {
	driver, err := h.Driver(address)
	if err != nil {
		return err
	}
	busy, err := h.Busy(address)
	if err != nil {
		return err
	}
	paths, err := h.ownNodes(address, driver)
	if err != nil || len(paths) == 0 {
		if busy { // an unbind that waits for its user has no driver any more
			err = errors.Join(fmt.Errorf("%s: %w", address, ErrHeld), err)
		}
		return err
	}
	holders, err := Holders(ctx, procDir, paths...)
	if err == nil && !vf.SeesProcesses() {
		err = errors.New("run in the host's PID namespace, to see the processes that hold devices")
	}
	switch {
	case len(holders) > 0:
		var names []string
		for _, each := range holders {
			names = append(names, each.String())
		}
		return fmt.Errorf("%s: %w: %s", address, ErrHeld, strings.Join(names, ", "))
	case busy:
		return errors.Join(fmt.Errorf("%s: %w", address, ErrHeld), err)
	case IsVFIO(driver):
		return nil // by the kernel's own word
	}
	return err
}

// ownNodes are the nodes of a device without those that all devices share, as the host and containers name them.
func (h *Host) ownNodes(address vf.PCIAddress, driver string) ([]string, error) {
	if !IsVFIO(driver) && !IsUIO(driver) {
		return nil, nil
	}
	nodes, _, err := h.nodes(address, driver, NodeOptions{AllowNoIOMMU: true})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("device nodes of %s: %w", address, err)
	}
	var paths []string
	for _, node := range nodes {
		if node.Path != "/dev/vfio/vfio" && node.Path != "/dev/iommu" {
			paths = append(paths, node.Path)
		}
	}
	return paths, nil
}

// Resettable says why a function cannot be reset, nil when it can: what its last user wrote into it would stay.
func (h *Host) Resettable(address vf.PCIAddress) error {
	there, err := h.exists(device(address, "reset"))
	if err == nil && !there {
		err = errors.New("the device cannot be reset, so what its last user left in it would stay: use it as a network interface")
	}
	if err != nil {
		return fmt.Errorf("give %s to user space: %w", address, err)
	}
	return nil
}
