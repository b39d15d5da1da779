package vf

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
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
