package dpdk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

const (
	iommuMend = "turn VT-d or AMD-Vi on in the BIOS, and boot with intel_iommu=on iommu=pt (AMD: iommu=pt)"
	iommuOff  = "it is in no IOMMU group, so the IOMMU is off: " + iommuMend
	// noIOMMUSwitch lets vfio-pci take devices without IOMMU group; it is there on kernels with CONFIG_VFIO_NOIOMMU.
	noIOMMUSwitch = "module/vfio/parameters/enable_unsafe_noiommu_mode"
)

// Group is an IOMMU group: devices that the hardware cannot keep apart, which are therefore given away together. Who may
// open the group's node may use every member that is bound to vfio-pci.
type Group struct {
	// Number is -1 when the device is in none. It changes over a reboot, and without IOMMU with every bind.
	Number int
	// NoIOMMU tells that vfio-pci made the group up: nothing keeps the device from the machine's memory.
	NoIOMMU bool
	// Members are sorted by name; the device itself is one of them.
	Members []Member
}

// Member is a device of a group.
type Member struct {
	// Name is what sysfs calls the device: the PCI address for a PCI device.
	Name string
	// Driver is empty when it is bound to none.
	Driver string
}

func (m Member) String() string { return m.Name + " (" + orNone(m.Driver) + ")" }

// Foreign are the members beside the device that keep the group from user space: bound to a driver which itself makes
// them read and write memory.
func (g Group) Foreign(address vf.PCIAddress) []Member {
	var foreign []Member
	for _, each := range g.Members {
		harmless := each.Driver == "" || IsVFIO(each.Driver) || each.Driver == "pci-stub" || each.Driver == "pcieport"
		if !harmless && each.Name != address.String() {
			foreign = append(foreign, each)
		}
	}
	return foreign
}

// node is the group's node below /dev.
func (g Group) node() string {
	if g.NoIOMMU {
		return "vfio/noiommu-" + strconv.Itoa(g.Number)
	}
	return "vfio/" + strconv.Itoa(g.Number)
}

// Group reads the IOMMU group of a device.
func (h *Host) Group(address vf.PCIAddress) (Group, error) {
	group, err := h.group(address)
	if err != nil {
		return Group{}, fmt.Errorf("read the IOMMU group of %s: %w", address, err)
	}
	return group, nil
}

func (h *Host) group(address vf.PCIAddress) (Group, error) {
	root, err := h.sysfs.OpenRoot(device(address))
	if err != nil {
		return Group{}, err
	}
	defer root.Close()
	group, err := h.identify(root)
	if err != nil || group.Number < 0 {
		return group, err
	}
	dir := path.Join("kernel/iommu_groups", strconv.Itoa(group.Number))
	members, err := h.readDir(path.Join(dir, "devices"))
	if err != nil {
		return Group{}, err
	}
	slices.Sort(members)
	for _, each := range members {
		driver, err := h.linkBase(path.Join(dir, "devices", each, "driver"))
		if err != nil {
			return Group{}, err
		}
		group.Members = append(group.Members, Member{each, driver})
	}
	return group, nil
}

// identify reads the group of a device without its members; root is the device's folder.
func (h *Host) identify(root *os.Root) (Group, error) {
	base, err := linkBase(root, "iommu_group")
	if err != nil || base == "" {
		return Group{Number: -1}, err
	}
	number, err := strconv.ParseUint(base, 10, 31)
	if err != nil {
		return Group{}, err
	}
	name, err := h.text(path.Join("kernel/iommu_groups", base, "name"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Group{}, err
	}
	return Group{Number: int(number), NoIOMMU: name == "vfio-noiommu"}, nil
}

// Isolated says why a device may not be given to user space by vfio, nil when it may: the IOMMU is off, or its group has
// foreign members. Without IOMMU it may when allowNoIOMMU says so and the kernel is set to it.
func (h *Host) Isolated(address vf.PCIAddress, allowNoIOMMU bool) error {
	group, err := h.Group(address)
	if err != nil {
		return err
	}
	if group.Number < 0 || group.NoIOMMU {
		if err := h.withoutIOMMU(group, allowNoIOMMU); err != nil {
			return fmt.Errorf("give %s to vfio: %w", address, err)
		}
		return nil
	}
	foreign := group.Foreign(address)
	if len(foreign) == 0 {
		return nil
	}
	var names []string
	for _, each := range foreign {
		names = append(names, each.String())
	}
	return fmt.Errorf("give %s to vfio: its IOMMU group %d has other members in use by the host: %s: bind them to vfio-pci or to none, "+
		"or put the NIC into a slot whose ports keep devices apart (ACS)", address, group.Number, strings.Join(names, ", "))
}

func (h *Host) withoutIOMMU(group Group, allowed bool) error {
	switch {
	case !allowed && group.NoIOMMU:
		return fmt.Errorf("its group %d was made up by vfio, the IOMMU is off, and the device could reach all memory: %s; "+
			"or allowNoIOMMU: true, where every pod is trusted with the machine", group.Number, iommuMend)
	case !allowed:
		return errors.New(iommuOff)
	}
	state, err := h.text(noIOMMUSwitch)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("it is allowed without IOMMU, but the module vfio is not loaded or its kernel was built without " +
			"CONFIG_VFIO_NOIOMMU: modprobe vfio enable_unsafe_noiommu_mode=1")
	case err != nil:
		return fmt.Errorf("look whether vfio works without IOMMU: %w", err)
	case state != "Y":
		return errors.New("it is allowed without IOMMU, but vfio is not set to it: echo Y > /sys/" + noIOMMUSwitch)
	}
	return nil
}
