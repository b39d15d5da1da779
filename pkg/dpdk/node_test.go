package dpdk_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk/dpdktest"
)

// nodeText is a list of nodes as a person reads it.
func nodeText(nodes []dpdk.Node) []string {
	var lines []string
	for _, each := range nodes {
		lines = append(lines, fmt.Sprintf("%s %c %d:%d", each.Path, each.Type, each.Major, each.Minor))
	}
	return lines
}

// hardware is what no emulated NIC has.
var hardware = map[string]map[string]string{
	"rdma": {
		"bus/pci/devices/" + first + "/infiniband_verbs/uverbs2/dev": "231:194\n",
		"bus/pci/devices/" + first + "/infiniband_mad/umad2/dev":     "231:2\n",
		"bus/pci/devices/" + first + "/infiniband_mad/issm2/dev":     "231:66\n",
		"class/misc/rdma_cm/dev":                                     "10:121\n",
	},
	"verbs": {
		"bus/pci/devices/" + first + "/infiniband_verbs/uverbs2/dev": "231:194\n",
	},
	"vhost": {
		"class/misc/vhost-net/dev": "10:238\n",
		"class/misc/tun/dev":       "10:200\n",
	},
	"noiommu": {
		"kernel/iommu_groups/4/name": "vfio-noiommu\n",
		"class/vfio/noiommu-4/dev":   "240:9\n",
	},
	"wrong number": {"class/misc/vfio/dev": "10\n"},
	"":             nil,
}

func TestNodes(t *testing.T) {
	tests := []struct {
		name     string
		device   dpdktest.Device
		hardware string
		driver   string
		options  dpdk.NodeOptions
		nodes    []string
		said     []string
	}{
		{name: "vfio", device: dpdktest.Device{Driver: "vfio-pci", Group: 4},
			nodes: []string{"/dev/vfio/vfio c 10:196", "/dev/vfio/4 c 240:4"}},
		{name: "vfio with iommufd", device: dpdktest.Device{Driver: "vfio-pci", Group: 4, Cdev: true},
			nodes: []string{"/dev/vfio/vfio c 10:196", "/dev/vfio/4 c 240:4", "/dev/vfio/devices/vfio0 c 239:0", "/dev/iommu c 10:125"}},
		{name: "vfio and vhost", device: dpdktest.Device{Driver: "vfio-pci", Group: 4}, hardware: "vhost", options: dpdk.NodeOptions{VhostNet: true},
			nodes: []string{"/dev/vfio/vfio c 10:196", "/dev/vfio/4 c 240:4", "/dev/vhost-net c 10:238", "/dev/net/tun c 10:200"}},
		{name: "vfio without vhost", device: dpdktest.Device{Driver: "vfio-pci", Group: 4}, options: dpdk.NodeOptions{VhostNet: true},
			said: []string{"there is no /dev/vhost-net", "modprobe vhost_net"}},
		{name: "vfio without IOMMU", device: dpdktest.Device{Driver: "vfio-pci", Group: 4}, hardware: "noiommu", said: []string{"allowNoIOMMU"}},
		{name: "vfio without IOMMU, allowed", device: dpdktest.Device{Driver: "vfio-pci", Group: 4}, hardware: "noiommu",
			options: dpdk.NodeOptions{AllowNoIOMMU: true}, nodes: []string{"/dev/vfio/vfio c 10:196", "/dev/vfio/noiommu-4 c 240:9"}},
		{name: "vfio without group", device: dpdktest.Device{Driver: "vfio-pci", Group: -1}, said: []string{"the IOMMU is off"}},
		{name: "vfio of another kind without group node", device: dpdktest.Device{Driver: "mlx5_vfio_pci", Group: 4}, said: []string{"there is no /dev/vfio/4", "CONFIG_VFIO_GROUP"}},
		{name: "vfio with RDMA", device: dpdktest.Device{Driver: "vfio-pci", Group: 4}, options: dpdk.NodeOptions{RDMA: true}, said: []string{"no RDMA device"}},
		{name: "a number that is none", device: dpdktest.Device{Driver: "vfio-pci", Group: 4}, hardware: "wrong number", said: []string{`"10\n" is not a device number`}},
		{name: "another driver", device: dpdktest.Device{Driver: "igbvf", Group: 4}, driver: "vfio-pci", said: []string{"should be bound to vfio-pci and is bound to igbvf"}},
		{name: "igb_uio", device: dpdktest.Device{Driver: "igb_uio", Group: 4}, nodes: []string{"/dev/uio0 c 238:0"}},
		{name: "uio_pci_generic", device: dpdktest.Device{Driver: "uio_pci_generic", Group: -1}, nodes: []string{"/dev/uio0 c 238:0"}},
		{name: "mlx5", device: dpdktest.Device{Driver: "mlx5_core", Group: 4}, hardware: "rdma", options: dpdk.NodeOptions{RDMA: true},
			nodes: []string{"/dev/infiniband/uverbs2 c 231:194", "/dev/infiniband/issm2 c 231:66", "/dev/infiniband/umad2 c 231:2", "/dev/infiniband/rdma_cm c 10:121"}},
		{name: "mlx5 without RDMA", device: dpdktest.Device{Driver: "mlx5_core", Group: 4}, hardware: "rdma"},
		{name: "mlx5 without verbs", device: dpdktest.Device{Driver: "mlx5_core", Group: 4}, options: dpdk.NodeOptions{RDMA: true}, said: []string{"modprobe mlx5_ib"}},
		{name: "mlx5 without rdma_cm", device: dpdktest.Device{Driver: "mlx5_core", Group: 4}, hardware: "verbs", options: dpdk.NodeOptions{RDMA: true},
			said: []string{"there is no /dev/infiniband/rdma_cm", "modprobe rdma_ucm"}},
		{name: "no RDMA at all", device: dpdktest.Device{Driver: "igbvf", Group: 4}, options: dpdk.NodeOptions{RDMA: true}, said: []string{"the RDMA module of igbvf"}},
		{name: "vhost alone", device: dpdktest.Device{Driver: "igbvf", Group: 4}, hardware: "vhost", options: dpdk.NodeOptions{VhostNet: true},
			nodes: []string{"/dev/vhost-net c 10:238", "/dev/net/tun c 10:200"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			kernel := dpdktest.New(t, "vfio-pci", "igb_uio")
			kernel.AddDevice(first, test.device)
			for name, text := range hardware[test.hardware] {
				kernel.Write(name, text)
			}
			driver := test.driver
			if driver == "" {
				driver = test.device.Driver
			}
			nodes, err := open(t, kernel).Nodes(address(t, first), driver, test.options)
			if len(test.said) > 0 {
				said(t, err, test.said...)
			} else if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(test.nodes, nodeText(nodes)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The nodes of a device that is gone, and of a device that left its uio device behind.
func TestNodesOfNothing(t *testing.T) {
	kernel := dpdktest.New(t)
	kernel.AddDevice(first, dpdktest.Device{Driver: "igb_uio", Group: -1})
	if err := os.RemoveAll(filepath.Join(kernel.Dir, "bus/pci/devices", first, "uio")); err != nil {
		t.Fatal(err)
	}
	host := open(t, kernel)
	_, err := host.Nodes(address(t, first), "igb_uio", dpdk.NodeOptions{})
	said(t, err, "0 uio devices", "modprobe igb_uio")
	if _, err := host.Nodes(address(t, second), "vfio-pci", dpdk.NodeOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nodes of nothing: %v", err)
	}
}

// Where sysfs tells no number the node does: here the machine's own /dev, whose null is 1:3.
func TestNodesByTheirFiles(t *testing.T) {
	kernel := node(t)
	host, err := dpdk.Open(kernel.Dir, "/dev")
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	for name, wanted := range map[string]string{"null": "1:3", "zero": "1:5"} {
		if _, err := os.Stat("/dev/" + name); err != nil {
			t.Skipf("needs /dev/%s: %v", name, err)
		}
		major, minor, err := dpdk.Number(host, name, "class/misc/"+name)
		if got := fmt.Sprintf("%d:%d", major, minor); err != nil || got != wanted {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if _, _, err := dpdk.Number(host, "nri-sriov-none", "class/misc/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
}

func TestNodesAreCharacterDevices(t *testing.T) {
	kernel := node(t)
	host := open(t, kernel)
	if err := os.WriteFile(filepath.Join(kernel.Dev, "vhost-net"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := host.Nodes(address(t, first), "igbvf", dpdk.NodeOptions{VhostNet: true})
	said(t, err, "/dev/vhost-net", "no character device")
}

// Large numbers do not fit where the small ones are; making such a node needs root.
func TestNumberOfNode(t *testing.T) {
	const major, minor = 3000, 70000
	kernel := node(t)
	host := open(t, kernel)
	raw := minor&0xff | major&0xfff<<8 | (minor&^0xff)<<12
	if err := syscall.Mknod(filepath.Join(kernel.Dev, "uio7"), syscall.S_IFCHR|0o600, raw); err != nil {
		t.Skipf("needs the right to make device nodes (root): %v", err)
	}
	gotMajor, gotMinor, err := dpdk.Number(host, "uio7", "class/uio/uio7")
	if err != nil || gotMajor != major || gotMinor != minor {
		t.Errorf("%d:%d, %v", gotMajor, gotMinor, err)
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, seed := range []string{"10:196\n", "240:1048575", "4096:0", "1:", ":", "", "+1:2", "1:2:3", "1:2\n\n", "01:2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		major, minor, err := dpdk.ParseNumber(text)
		if err != nil {
			return
		}
		if major < 0 || major > 4095 || minor < 0 || minor > 1<<20-1 {
			t.Errorf("%q gives %d:%d", text, major, minor)
		}
		again, more, err := dpdk.ParseNumber(fmt.Sprintf("%d:%d\n", major, minor))
		if err != nil || again != major || more != minor {
			t.Errorf("%q gives %d:%d, written and read again %d:%d, %v", text, major, minor, again, more, err)
		}
		if strings.Count(text, "\n") > 1 {
			t.Errorf("%q has more than a line", text)
		}
	})
}

func FuzzParsePageSize(f *testing.F) {
	for _, seed := range []string{"hugepages-2048kB", "hugepages-1048576kB", "hugepages-0kB", "hugepages-kB", "hugepages-", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if size, ok := dpdk.ParsePageSize(name); ok && size <= 0 {
			t.Errorf("%q gives %d", name, size)
		}
	})
}
