package vf

import (
	"cmp"
	"errors"
	"fmt"
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

const pciDevices = "bus/pci/devices"

// PF is a physical function that can have VFs.
type PF struct {
	// Address is the PF's PCI address.
	Address PCIAddress
	// Interface is its name in the host's network namespace; empty when it has none there (bound to another driver, or
	// moved away).
	Interface string
	// Driver is the name of the bound driver, empty when none is.
	Driver string
	// Vendor and Device are the PCI ids in hexadecimal without 0x.
	Vendor, Device string
	// NUMANode is -1 when the firmware does not tell.
	NUMANode int
	// IOMMUGroup is its number, -1 when no IOMMU is on.
	IOMMUGroup int
	// Speed of its link in Mbit/s; 0 when there is no link or the driver does not tell.
	Speed int
	// TotalVFs is how many VFs the device can have, NumVFs how many it has.
	TotalVFs, NumVFs int
	// Instance tells two devices apart that were at one address one after the other; 0 is not known.
	Instance uint64
}

// Name is what a person calls the PF: its interface, or its address when it has no interface.
func (p PF) Name() string {
	if p.Interface != "" {
		return p.Interface
	}
	return p.Address.String()
}

// VF is one virtual function of a PF.
type VF struct {
	// Address is the VF's PCI address.
	Address PCIAddress
	// PF is the address of the physical function.
	PF PCIAddress
	// ID is the VF's number under its PF, as the kernel counts.
	ID int
	// Interfaces are its names in the host's network namespace, by port: none when the VF is elsewhere or bound to
	// vfio-pci, two on adapters that hang two ports on one function.
	Interfaces []string
	// Driver is the name of the bound driver, empty when none is.
	Driver string
	// NUMANode is -1 when the firmware does not tell.
	NUMANode int
	// IOMMUGroup is its number, -1 when no IOMMU is on. Numbers change over a reboot.
	IOMMUGroup int
	// Instance tells two devices apart that were at one address one after the other; 0 is not known.
	Instance uint64
}

// PFs lists the node's physical functions with SR-IOV, by address. A device that vanishes meanwhile is left out.
func (h *Host) PFs() ([]PF, error) {
	names, err := h.readDir(pciDevices)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list PCI devices: %w", err)
	}
	var pfs []PF
	for _, name := range names {
		address, err := ParsePCIAddress(name)
		if err != nil {
			continue
		}
		pf, err := h.PF(address)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		pfs = append(pfs, pf)
	}
	slices.SortFunc(pfs, func(a, b PF) int { return a.Address.Compare(b.Address) })
	return pfs, nil
}

// PF reads one physical function. A device that is not there or has no SR-IOV gives fs.ErrNotExist.
func (h *Host) PF(address PCIAddress) (PF, error) {
	dir := path.Join(pciDevices, address.String())
	total, err := h.number(path.Join(dir, "sriov_totalvfs"))
	if err != nil {
		return PF{}, fmt.Errorf("read PF %s: %w", address, err)
	}
	num, err := h.number(path.Join(dir, "sriov_numvfs"))
	if err != nil {
		return PF{}, fmt.Errorf("read PF %s: %w", address, err)
	}
	names, err := h.interfaces(dir)
	if err != nil {
		return PF{}, fmt.Errorf("read PF %s: %w", address, err)
	}
	pf := PF{Address: address, TotalVFs: total, NumVFs: num, Interface: h.uplink(dir, names), Instance: h.instance(dir)}
	if pf.Driver, err = h.driver(dir); err != nil {
		return PF{}, fmt.Errorf("read PF %s: %w", address, err)
	}
	if pf.Interface != "" {
		// A link that is down answers EINVAL or -1.
		if speed, err := h.number(path.Join(dir, "net", pf.Interface, "speed")); err == nil && speed > 0 {
			pf.Speed = speed
		}
	}
	pf.NUMANode, pf.IOMMUGroup = h.numaNode(dir), h.iommuGroup(dir)
	pf.Vendor, pf.Device = h.hexID(dir, "vendor"), h.hexID(dir, "device")
	return pf, nil
}

// VFs lists the VFs of a PF by their number.
func (h *Host) VFs(pf PCIAddress) ([]VF, error) {
	dir := path.Join(pciDevices, pf.String())
	entries, err := h.readDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the VFs of %s: %w", pf, err)
	}
	var vfs []VF
	for _, entry := range entries {
		digits, ok := strings.CutPrefix(entry, "virtfn")
		id, err := strconv.Atoi(digits)
		if !ok || err != nil {
			continue
		}
		target, err := h.sysfs.Readlink(path.Join(dir, entry))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read VF %d of %s: %w", id, pf, err)
		}
		address, err := ParsePCIAddress(path.Base(target))
		if err != nil {
			return nil, fmt.Errorf("read VF %d of %s: %w", id, pf, err)
		}
		vf, err := h.readVF(address, pf, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		vfs = append(vfs, vf)
	}
	slices.SortFunc(vfs, func(a, b VF) int { return a.ID - b.ID })
	return vfs, nil
}

func (h *Host) readVF(address, pf PCIAddress, id int) (VF, error) {
	dir := path.Join(pciDevices, address.String())
	if _, err := h.sysfs.Stat(dir); err != nil {
		return VF{}, fmt.Errorf("read VF %s: %w", address, err)
	}
	vf := VF{Address: address, PF: pf, ID: id, NUMANode: h.numaNode(dir), IOMMUGroup: h.iommuGroup(dir), Instance: h.instance(dir)}
	var err error
	if vf.Interfaces, err = h.interfaces(dir); err != nil {
		return VF{}, fmt.Errorf("read VF %s: %w", address, err)
	}
	if vf.Driver, err = h.driver(dir); err != nil {
		return VF{}, fmt.Errorf("read VF %s: %w", address, err)
	}
	return vf, nil
}

// Interfaces lists the names that a function's netdevs have in the host's network namespace, by port; none when they
// are elsewhere. A function that is not there gives fs.ErrNotExist.
func (h *Host) Interfaces(address PCIAddress) ([]string, error) {
	dir := path.Join(pciDevices, address.String())
	if _, err := h.sysfs.Stat(dir); err != nil {
		return nil, fmt.Errorf("look for the interfaces of %s: %w", address, err)
	}
	return h.interfaces(dir)
}

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
