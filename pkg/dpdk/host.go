package dpdk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/failpoint"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

const (
	pciDevices = "bus/pci/devices"
	pciDrivers = "bus/pci/drivers"
	// settle is how long a link is waited for after the write that should have made it: the kernel makes it before the
	// write returns, but for drivers that probe on their own time.
	settle = 2 * time.Second
)

// Host is the node: its sysfs and its device nodes. Its methods may be used by several goroutines; changes of one device
// are to be serialised by the caller.
type Host struct {
	sysfs, dev *os.Root
	devDir     string
	modprobe   string
	settle     time.Duration
	// container is the number of /dev/vfio/vfio, once read: it is a fixed one (VFIO_MINOR of linux/miscdevice.h).
	container atomic.Pointer[[2]int64]
	// write stands between this package and the kernel; tests put one there that has the kernel's effects.
	write func(name, text string) error
}

// Open opens the sysfs tree and the folder of the host's device nodes, on a node /sys and /dev.
func Open(sysfsDir, devDir string) (*Host, error) {
	sysfs, err := os.OpenRoot(sysfsDir)
	if err != nil {
		return nil, fmt.Errorf("open sysfs: %w", err)
	}
	dev, err := os.OpenRoot(devDir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the folder of device nodes: %w", err), sysfs.Close())
	}
	h := &Host{sysfs: sysfs, dev: dev, devDir: devDir, modprobe: "/sbin/modprobe", settle: settle}
	h.write = h.writeFile
	return h, nil
}

// Close gives back the handles.
func (h *Host) Close() error {
	return errors.Join(h.dev.Close(), h.sysfs.Close())
}

// writeFile opens without O_CREATE: creating in sysfs answers "permission denied" where "no such file" is meant. It
// writes once, by hand: some sysfs files answer EAGAIN (a probe that was put off), and os.File.Write would then wait for
// a readiness that never comes, since sysfs files can be polled.
func (h *Host) writeFile(name, text string) error {
	file, err := h.sysfs.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	connection, err := file.SyscallConn()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	var written int
	var answer error
	err = connection.Write(func(fd uintptr) bool {
		for {
			written, answer = syscall.Write(int(fd), []byte(text))
			if !errors.Is(answer, syscall.EINTR) {
				return true
			}
		}
	})
	if answer == nil && err == nil && written < len(text) {
		answer = io.ErrShortWrite
	}
	if answer != nil {
		answer = &fs.PathError{Op: "write", Path: name, Err: answer}
	}
	failpoint.Step(failpoint.Kernel)
	return errors.Join(answer, err, file.Close())
}

func (h *Host) text(name string) (string, error) {
	content, err := h.sysfs.ReadFile(name)
	return strings.TrimSpace(string(content)), err
}

// readDir lists a folder of sysfs; one that is not there has nothing in it.
func (h *Host) readDir(name string) ([]string, error) { return readDir(h.sysfs, name) }

func readDir(root *os.Root, name string) ([]string, error) {
	dir, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.Readdirnames(-1)
}

// linkBase is the last part of what a link points at, empty when there is no such link.
func (h *Host) linkBase(name string) (string, error) { return linkBase(h.sysfs, name) }

func linkBase(root *os.Root, name string) (string, error) {
	target, err := root.Readlink(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return path.Base(target), nil
}

func (h *Host) exists(name string) (bool, error) {
	_, err := h.sysfs.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func device(address vf.PCIAddress, parts ...string) string {
	return path.Join(append([]string{pciDevices, address.String()}, parts...)...)
}
