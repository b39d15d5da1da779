package vf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// firstProcess is the host's, in its PID namespace.
var firstProcess = "/proc/1"

// IgnoreRouters has an interface of the host take no IPv6 router advertisements: a VF that lies idle must not give the
// host an address or a route of a tenant's network. Where the kernel has no IPv6 there is nothing to do.
func (h *Host) IgnoreRouters(name string) error {
	if name == "" || filepath.Base(name) != name || slices.Contains([]string{".", "..", "all", "default"}, name) {
		return fmt.Errorf("%q is no interface name", name)
	}
	setting := filepath.Join("/proc/sys/net/ipv6/conf", name, "accept_ra")
	file, err := os.OpenFile(setting, os.O_WRONLY, 0)
	if errors.Is(err, syscall.EROFS) {
		// A container that is not privileged has /proc/sys read-only. In the host's PID namespace the first process leads to
		// the host's own; which network namespace is meant is said by who opens it.
		file, err = os.OpenFile(filepath.Join(firstProcess, "root", setting), os.O_WRONLY, 0)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("have %s ignore routers: %w", name, err)
	}
	_, err = file.WriteString("0")
	return errors.Join(err, file.Close())
}

// MTU reads the MTU of an interface of a PCI function in the host, in bytes.
func (h *Host) MTU(address PCIAddress, name string) (int, error) {
	return h.number(filepath.Join(pciDevices, address.String(), "net", name, "mtu"))
}
