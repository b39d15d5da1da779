package dpdk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Node is a device node that a container is given. Owner and mode are the giver's to say: the host's are not to be
// trusted, /dev/vfio/vfio is 0600 where udev was not there in time.
type Node struct {
	// Path is where the container sees it, HostPath where the host has it.
	Path, HostPath string
	// Type is 'c', as all of them are character devices.
	Type byte
	// Major and Minor are dynamic for most: they change with a reboot and with a bind.
	Major, Minor int64
}

// NodeOptions say which nodes there are to be beside those of the driver.
type NodeOptions struct {
	// AllowNoIOMMU admits the node of a group without IOMMU.
	AllowNoIOMMU bool
	// RDMA adds those of the device's RDMA device, for drivers that share the device with user space (mlx5_core).
	RDMA bool
	// VhostNet adds /dev/vhost-net and /dev/net/tun.
	VhostNet bool
}

// Nodes lists the nodes through which user space drives a device that is bound to the given driver, read from the kernel
// now. A device that is bound to another driver is refused, and so is a node that the kernel does not have; the error
// says what makes it. A driver of the kernel has no nodes of its own: without options the list is empty.
//
// vfio-pci: /dev/vfio/vfio, /dev/vfio/<group> (/dev/vfio/noiommu-<group> without IOMMU), and where the kernel has them
// /dev/iommu and /dev/vfio/devices/vfio<n>. uio: /dev/uio<n>. RDMA: /dev/infiniband/uverbs<n> and rdma_cm, and umad<n>
// and issm<n> where the kernel has them.
func (h *Host) Nodes(address vf.PCIAddress, driver string, options NodeOptions) ([]Node, error) {
	nodes, _, err := h.Give(address, driver, options)
	return nodes, err
}

// Give is Nodes with the number of the device's IOMMU group, -1 where it is in none. It is for a hook: the device's folder is
// walked to once.
func (h *Host) Give(address vf.PCIAddress, driver string, options NodeOptions) (nodes []Node, group int, err error) {
	nodes, group, err = h.nodes(address, driver, options)
	if err != nil {
		return nil, -1, fmt.Errorf("device nodes of %s: %w", address, err)
	}
	return nodes, group, nil
}

func (h *Host) nodes(address vf.PCIAddress, driver string, options NodeOptions) (nodes []Node, group int, err error) {
	root, err := h.sysfs.OpenRoot(device(address))
	if err != nil {
		return nil, -1, err
	}
	defer root.Close()
	now, err := linkBase(root, "driver")
	if err != nil {
		return nil, -1, err
	}
	if now != driver {
		return nil, -1, fmt.Errorf("it should be bound to %s and is bound to %s", orNone(driver), orNone(now))
	}
	if options.RDMA && IsStandIn(driver) {
		return nil, -1, fmt.Errorf("RDMA was asked for, but bound to %s it has no RDMA device: leave it with its network driver", driver)
	}
	l := list{host: h, root: root}
	if l.group, err = h.identify(root); err != nil {
		return nil, -1, err
	}
	switch {
	case IsVFIO(driver):
		l.vfio(options.AllowNoIOMMU)
	case IsUIO(driver):
		l.uio(address, driver)
	}
	if options.RDMA {
		l.rdma(address, driver)
	}
	if options.VhostNet {
		l.add("vhost-net", "class/misc/vhost-net", "modprobe vhost_net")
		l.add("net/tun", "class/misc/tun", "modprobe tun")
	}
	return l.nodes, l.group.Number, l.err
}

// list collects nodes until one is missing.
type list struct {
	host *Host
	// root is the device's folder.
	root  *os.Root
	group Group
	nodes []Node
	err   error
}

func (l *list) vfio(allowNoIOMMU bool) {
	switch {
	case l.group.Number < 0:
		l.fail(errors.New(iommuOff))
		return
	case l.group.NoIOMMU && !allowNoIOMMU:
		l.fail(l.host.withoutIOMMU(l.group, false))
		return
	}
	if number := l.host.container.Load(); number != nil {
		l.addNode("vfio/vfio", number[0], number[1])
	} else {
		l.add("vfio/vfio", "class/misc/vfio", "modprobe vfio")
		if l.err == nil {
			l.host.container.Store(&[2]int64{l.nodes[0].Major, l.nodes[0].Minor})
		}
	}
	l.add(l.group.node(), "class/"+l.group.node(), "modprobe vfio-pci makes it when it takes the group's first device, "+
		"on kernels with CONFIG_VFIO_GROUP")
	l.iommufd()
}

// iommufd adds the newer way to the same device. Kernels from 6.1 have the folder vfio-dev; the file dev in it tells that
// there is a node too.
func (l *list) iommufd() {
	names, err := readDir(l.root, "vfio-dev")
	if err != nil {
		l.fail(err)
		return
	}
	for _, name := range names {
		text, err := l.root.ReadFile(path.Join("vfio-dev", name, "dev"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		iommu, err2 := l.host.hasNode("iommu", "class/misc/iommu")
		if err := errors.Join(err, err2); err != nil {
			l.fail(err)
			return
		}
		if iommu {
			l.addNumber("vfio/devices/"+name, string(text))
			l.add("iommu", "class/misc/iommu", "modprobe iommufd")
		}
	}
}

func (l *list) uio(address vf.PCIAddress, driver string) {
	names, err := l.host.readDir(device(address, "uio"))
	if err != nil {
		l.fail(err)
		return
	}
	if len(names) != 1 {
		l.fail(fmt.Errorf("it has %d uio devices and should have one: bind it to %s again (%s)", len(names), driver, moduleOf(driver)))
		return
	}
	l.add(names[0], device(address, "uio", names[0]), moduleOf(driver))
}

// rdmaModules make the RDMA device of a network driver.
var rdmaModules = map[string]string{
	"mlx5_core": "mlx5_ib", "mlx4_core": "mlx4_ib", "ice": "irdma", "iavf": "irdma", "i40e": "irdma", "bnxt_en": "bnxt_re",
}

func (l *list) rdma(address vf.PCIAddress, driver string) {
	verbs, err := l.host.readDir(device(address, "infiniband_verbs"))
	if err != nil {
		l.fail(err)
		return
	}
	if len(verbs) == 0 {
		module, known := rdmaModules[driver]
		if !known {
			module = "the RDMA module of " + orNone(driver)
		}
		l.fail(fmt.Errorf("RDMA was asked for, but it has no /dev/infiniband/uverbs: modprobe %s, modprobe ib_uverbs; "+
			"or its RDMA device was taken into another network namespace", module))
		return
	}
	slices.Sort(verbs)
	for _, name := range verbs {
		l.add("infiniband/"+name, device(address, "infiniband_verbs", name), "modprobe ib_uverbs")
	}
	mads, err := l.host.readDir(device(address, "infiniband_mad"))
	if err != nil {
		l.fail(err)
		return
	}
	slices.Sort(mads)
	for _, name := range mads {
		if strings.HasPrefix(name, "umad") || strings.HasPrefix(name, "issm") {
			l.add("infiniband/"+name, device(address, "infiniband_mad", name), "modprobe ib_umad")
		}
	}
	l.add("infiniband/rdma_cm", "class/misc/rdma_cm", "modprobe rdma_ucm")
}

func (l *list) fail(err error) {
	if l.err == nil {
		l.nodes, l.err = nil, err
	}
}

// add looks up a node by its name below /dev and its device's folder in sysfs.
func (l *list) add(name, sysfs, mend string) {
	if l.err != nil {
		return
	}
	major, minor, err := l.host.number(name, sysfs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.fail(fmt.Errorf("there is no %s: %s: %w", path.Join("/dev", name), mend, fs.ErrNotExist))
	case err != nil:
		l.fail(fmt.Errorf("read the number of %s: %w", path.Join("/dev", name), err))
	default:
		l.addNode(name, major, minor)
	}
}

func (l *list) addNode(name string, major, minor int64) {
	l.nodes = append(l.nodes, Node{
		Path: path.Join("/dev", name), HostPath: path.Join(l.host.devDir, name), Type: 'c', Major: major, Minor: minor,
	})
}

// addNumber adds a node whose number was read already.
func (l *list) addNumber(name, text string) {
	if l.err != nil {
		return
	}
	major, minor, err := parseNumber(text)
	if err != nil {
		l.fail(fmt.Errorf("read the number of %s: %w", path.Join("/dev", name), err))
		return
	}
	l.addNode(name, major, minor)
}

func (h *Host) hasNode(name, sysfs string) (bool, error) {
	_, _, err := h.number(name, sysfs)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// number asks sysfs, which is right at any time, then the node: some stand there before their module is loaded and load
// it when they are opened (/dev/vfio/vfio, /dev/net/tun).
func (h *Host) number(name, sysfs string) (major, minor int64, err error) {
	text, err := h.sysfs.ReadFile(path.Join(sysfs, "dev"))
	if err == nil {
		return parseNumber(string(text))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, 0, err
	}
	info, err := h.dev.Stat(name)
	if err != nil {
		return 0, 0, err
	}
	return numberOf(info)
}
