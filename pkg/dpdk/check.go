package dpdk

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// The checks tell a person whether DPDK pods can work on this node: a message, and when it is not ok what to do.

// CheckIOMMU tells whether the kernel keeps devices apart.
func (h *Host) CheckIOMMU() (ok bool, message, mend string) {
	groups, err := h.readDir("kernel/iommu_groups")
	if err != nil {
		return false, err.Error(), "run as root"
	}
	hardware := 0
	for _, each := range groups {
		if name, err := h.text(path.Join("kernel/iommu_groups", each, "name")); err != nil || name != "vfio-noiommu" {
			hardware++
		}
	}
	switch {
	case hardware > 0:
		return true, fmt.Sprintf("is on; IOMMU groups: %d", hardware), ""
	case len(groups) > 0:
		return false, "is off, and vfio works without it: a pod with a vfio device can reach all of the machine's memory", iommuMend
	}
	return false, "is off: devices cannot be given to vfio, unless allowNoIOMMU says so", iommuMend
}

// CheckNoIOMMU tells whether vfio takes devices that no IOMMU keeps from the machine's memory.
func (h *Host) CheckNoIOMMU() (ok bool, message, mend string) {
	state, err := h.text(noIOMMUSwitch)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, "vfio is not loaded, or its kernel was built without CONFIG_VFIO_NOIOMMU", "modprobe vfio enable_unsafe_noiommu_mode=1"
	case err != nil:
		return false, err.Error(), "run as root"
	case state != "Y":
		return false, "vfio is not set to take devices without IOMMU", "echo Y > /sys/" + noIOMMUSwitch
	}
	return true, "vfio takes devices without IOMMU", ""
}

// CheckDriver tells whether the kernel has a driver such as vfio-pci, and whether as a module.
func (h *Host) CheckDriver(driver string) (ok bool, message, mend string) {
	if err := checkName("driver", driver); err != nil {
		return false, err.Error(), "correct the name"
	}
	mend = moduleOf(driver) + "; for every boot: a file in /etc/modules-load.d with the line " + driver
	present, err := h.exists(path.Join(pciDrivers, driver))
	if err != nil {
		return false, err.Error(), "run as root"
	}
	if !present {
		return false, driver + " is not loaded", mend
	}
	// Only a loaded module has this file; what is built in has at most its parameters there.
	modular, err := h.exists(path.Join("module", strings.ReplaceAll(driver, "-", "_"), "initstate"))
	switch {
	case err != nil:
		return false, err.Error(), "run as root"
	case modular:
		return true, driver + " is loaded, as a module", ""
	}
	return true, driver + " is built into the kernel", ""
}

// CheckContainerNode tells whether there is /dev/vfio/vfio, which every user of vfio opens first.
func (h *Host) CheckContainerNode() (ok bool, message, mend string) {
	major, minor, err := h.number("vfio/vfio", "class/misc/vfio")
	if err != nil {
		return false, "/dev/vfio/vfio: " + err.Error(), "modprobe vfio-pci"
	}
	return true, fmt.Sprintf("/dev/vfio/vfio is there (%d:%d)", major, minor), ""
}

// CheckHugepages tells how many huge pages are free, by size and NUMA node. It is ok when any are: how many a pod needs,
// and on which node, is its own affair.
func (h *Host) CheckHugepages() (ok bool, message, mend string) {
	const reserve = "boot with hugepagesz=1G hugepages=N or hugepages=N (2 MiB each), or write N to " +
		"/sys/devices/system/node/node*/hugepages/hugepages-2048kB/nr_hugepages"
	pools, err := h.Hugepages()
	if err != nil {
		return false, err.Error(), "run as root"
	}
	var parts []string
	total, free := 0, 0
	for _, one := range pools {
		if one.Total == 0 {
			continue
		}
		if one.NUMANode >= 0 {
			parts = append(parts, fmt.Sprintf("node %d %d of %d", one.NUMANode, one.Free, one.Total))
			continue
		}
		total, free = total+one.Total, free+one.Free
		parts = append(parts, fmt.Sprintf("%s: %d of %d free", pageSize(one.SizeKB), one.Free, one.Total))
	}
	switch {
	case total == 0:
		return false, "no huge pages are set aside: DPDK works without (--no-huge), slowly", reserve
	case free == 0:
		return false, strings.Join(parts, ", "), "end a pod that has them, or set more aside: " + reserve
	}
	return true, strings.Join(parts, ", "), ""
}

// hugetlbfsMagic is HUGETLBFS_MAGIC of linux/magic.h.
const hugetlbfsMagic = 0x958458f6

// CheckHugepagesMount tells whether a hugetlbfs is mounted at dir.
func CheckHugepagesMount(dir string) (ok bool, message, mend string) {
	var found syscall.Statfs_t
	if err := syscall.Statfs(dir, &found); err != nil {
		return false, fmt.Sprintf("look what is mounted at %s: %v", dir, err), "mkdir -p " + dir + "; mount -t hugetlbfs none " + dir
	}
	if uint32(found.Type) != hugetlbfsMagic {
		return false, "no hugetlbfs is mounted at " + dir, "mount -t hugetlbfs none " + dir
	}
	return true, "a hugetlbfs is mounted at " + dir, ""
}

func pageSize(kb int) string {
	switch {
	case kb%(1<<20) == 0:
		return fmt.Sprintf("%d GiB", kb>>20)
	case kb%(1<<10) == 0:
		return fmt.Sprintf("%d MiB", kb>>10)
	}
	return fmt.Sprintf("%d KiB", kb)
}
