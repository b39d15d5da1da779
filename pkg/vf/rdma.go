package vf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ErrNoRDMA says that the kernel has no RDMA subsystem (ib_core is not loaded and cannot be), or one before Linux 5.2,
// which keeps no RDMA device in a network namespace.
var ErrNoRDMA = errors.New("the kernel has no RDMA with network namespaces")

// ErrNoRDMADevice says that an RDMA device is not in the namespace where it was looked for.
var ErrNoRDMADevice = errors.New("no such RDMA device")

// rdmaNameForm is the form of the names that drivers and udev give. IB_DEVICE_NAME_MAX of rdma/ib_verbs.h is 64, with
// the zero at the end.
var rdmaNameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$`)

func checkRDMAName(name string) error {
	if !rdmaNameForm.MatchString(name) {
		return fmt.Errorf("%q is not the name of an RDMA device such as mlx5_2", name)
	}
	return nil
}

// RDMADevices lists the names of a function's RDMA devices, sorted; none when it has none, and in the RDMA subsystem's
// exclusive mode also when they are in another network namespace than the host's. A function that is not there gives
// fs.ErrNotExist.
func (h *Host) RDMADevices(address PCIAddress) ([]string, error) {
	dir := path.Join(pciDevices, address.String())
	if _, err := h.sysfs.Stat(dir); err != nil {
		return nil, fmt.Errorf("look for the RDMA devices of %s: %w", address, err)
	}
	names, err := h.readDir(path.Join(dir, "infiniband"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for the RDMA devices of %s: %w", address, err)
	}
	for _, name := range names {
		if err := checkRDMAName(name); err != nil {
			return nil, fmt.Errorf("look for the RDMA devices of %s: %w", address, err)
		}
	}
	slices.Sort(names)
	return names, nil
}

// rdmaDevice is an RDMA device as netlink tells it. The index stays with it from namespace to namespace and is how a
// command names it.
type rdmaDevice struct {
	index uint32
	name  string
}

// rdmaRequest begins a message to the RDMA subsystem: RDMA_NL_GET_TYPE of rdma/rdma_netlink.h. It has no header of its
// own, attributes follow at once.
func rdmaRequest(command, flags int) *nl.NetlinkRequest {
	return nl.NewNetlinkRequest(nl.RDMA_NL_NLDEV<<nl.RDMA_NL_GET_CLIENT_SHIFT|command, flags)
}

// rdmaMove moves a device to the namespace that is open as fd. The device's name stays out of the message: kernels take
// one for a new name, and then forget the rest.
func rdmaMove(index, fd uint32) *nl.NetlinkRequest {
	request := rdmaRequest(nl.RDMA_NLDEV_CMD_SET, unix.NLM_F_ACK)
	request.AddData(nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_DEV_INDEX, nl.Uint32Attr(index)))
	request.AddData(nl.NewRtAttr(nl.RDMA_NLDEV_NET_NS_FD, nl.Uint32Attr(fd)))
	return request
}

// parseRDMADevice reads one answer to RDMA_NLDEV_CMD_GET.
func parseRDMADevice(message []byte) (rdmaDevice, error) {
	attributes, err := attributesOf(message)
	if err != nil {
		return rdmaDevice{}, fmt.Errorf("parse RDMA device: %w", err)
	}
	var device rdmaDevice
	indexed := false
	for _, attribute := range attributes {
		switch attribute.kind {
		case nl.RDMA_NLDEV_ATTR_DEV_INDEX:
			if len(attribute.value) == 4 {
				device.index, indexed = binary.NativeEndian.Uint32(attribute.value), true
			}
		case nl.RDMA_NLDEV_ATTR_DEV_NAME:
			device.name = unix.ByteSliceToString(attribute.value)
		}
	}
	if !indexed || device.name == "" {
		return rdmaDevice{}, errors.New("parse RDMA device: no index or no name")
	}
	return device, nil
}

// parseRDMAExclusive reads the answer to RDMA_NLDEV_CMD_SYS_GET. The mode is a byte, ib_devices_shared_netns of the
// kernel: 0 is exclusive, 1 is shared.
func parseRDMAExclusive(message []byte) (bool, error) {
	attributes, err := attributesOf(message)
	if err != nil {
		return false, fmt.Errorf("parse RDMA mode: %w", err)
	}
	for _, attribute := range attributes {
		if attribute.kind == nl.RDMA_NLDEV_SYS_ATTR_NETNS_MODE && len(attribute.value) == 1 && attribute.value[0] <= 1 {
			return attribute.value[0] == 0, nil
		}
	}
	return false, errors.New("parse RDMA mode: neither exclusive nor shared")
}
