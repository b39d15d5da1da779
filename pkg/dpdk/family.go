package dpdk

import (
	"fmt"
	"regexp"
	"strings"
)

var driverForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// checkName keeps the name of a driver or module from being read as a path or an option.
func checkName(what, name string) error {
	if !driverForm.MatchString(name) {
		return fmt.Errorf("%q is not the name of a %s such as vfio-pci", name, what)
	}
	return nil
}

// IsVFIO tells whether a driver is vfio-pci or one of its kin, such as mlx5_vfio_pci.
func IsVFIO(driver string) bool {
	return strings.HasSuffix(strings.ReplaceAll(driver, "_", "-"), "vfio-pci")
}

// IsUIO tells whether a driver gives the device to user space without an IOMMU between it and the machine's memory.
func IsUIO(driver string) bool {
	return driver == "uio_pci_generic" || driver == "igb_uio"
}

// IsStandIn tells whether a driver only holds a device for somebody else. The kernel gives such a driver a device by
// driver_override alone: none of them knows a NIC by its PCI id.
func IsStandIn(driver string) bool {
	return IsVFIO(driver) || IsUIO(driver) || driver == "pci-stub"
}

// moduleOf is what modprobe is told to get a driver.
func moduleOf(driver string) string {
	return "modprobe " + driver
}
