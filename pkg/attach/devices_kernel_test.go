package attach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk/dpdktest"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/nri-sriov/nri-sriov/pkg/vf/vftest"
)

// function is the address of the one function of userspaceNode.
const function = "0000:01:10.0"

// userspaceNode is a node whose sysfs has the kernel's effects, with one function; its interface is a veth in a private
// network namespace. What the PF sets of a VF is not there: the lab tests that.
type userspaceNode struct {
	Devices
	*dpdktest.Kernel
	address vf.PCIAddress
}

func newUserspaceNode(t *testing.T, device dpdktest.Device, drivers ...string) *userspaceNode {
	t.Helper()
	n := &userspaceNode{Kernel: dpdktest.New(t, drivers...)}
	n.AddDevice(function, device)
	n.Run()
	var err error
	vftest.InPrivateNamespace(t, func() { n.Host, err = vf.OpenHost(n.Dir) })
	if err == nil {
		n.DPDK, err = dpdk.Open(n.Dir, n.Dev)
	}
	if err == nil {
		n.Bound, err = OpenBound(t.TempDir())
	}
	if err == nil {
		n.address, err = vf.ParsePCIAddress(function)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(n.Host.Close(), n.DPDK.Close()); err != nil {
			t.Error(err)
		}
	})
	vftest.AddVeth(t, n.Host.Namespace(), "eth0", "peer")
	return n
}

// plan is the attachment of the function, as a whole PF, or as a VF of a PF that an application drives.
func (n *userspaceNode) plan(t *testing.T, whole bool, rest string) Attachment {
	t.Helper()
	known := inventory.VF{VF: vf.VF{Address: n.address, ID: -1, IOMMUGroup: 3}, Rest: rest}
	if !whole {
		known.ID, known.VFToken = 0, "4d8f6d6c-5d3e-4b1a-9a39-1f7a6f3d2c11"
	}
	resting, _, err := n.Rest(n.address)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAttachment(Want{Network: "fast", Device: config.DeviceVFIO, Whole: whole, Settings: vf.DefaultSettings(), CNIVersion: "1.1.0"}, "net1",
		vf.PF{Address: n.address, Interface: "eth0"}, known, resting)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wasReset waits for the one reset: the tree has its effects a moment after the write.
func (n *userspaceNode) wasReset(t *testing.T) {
	t.Helper()
	for range 200 {
		if n.ResetCount() == 1 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("it was reset %d times", n.ResetCount())
}

// TestBoundAndGivenBack: a function with an interface is bound, known for ours meanwhile, reset, and comes back under the
// name that it had, whatever name the driver gives it.
func TestBoundAndGivenBack(t *testing.T) {
	t.Attr("fault", "32")
	n := newUserspaceNode(t, dpdktest.Device{Driver: "igb", Native: "igb", Group: 3}, "igb", "vfio-pci")
	a := n.plan(t, true, "")
	if a.Driver != "vfio-pci" || len(a.Home) != 1 || a.Home[0].Interface != "eth0" || a.VFToken == "" {
		t.Fatalf("planned: %+v", a)
	}
	if err := n.Attach(t.Context(), &a, vf.PF{Interface: "eth0"}, vf.DefaultSettings(), nil); err != nil {
		t.Fatal(err)
	}
	if a.Ports[0].MAC != a.Home[0].MAC || a.Ports[0].MTU != 1500 || a.IOMMUGroup != 3 {
		t.Errorf("the pod gets %+v", a)
	}
	given, err := NodesOf(n.DPDK, a)
	if err != nil || len(given.Nodes) != 2 || given.Nodes[1].Path != "/dev/vfio/3" {
		t.Errorf("nodes: %+v, %v", given, err)
	}
	if bound, err := ReadBound(filepath.Dir(n.Bound.dir)); err != nil || !bound[n.address] {
		t.Errorf("it is not known for ours: %v, %v", bound, err)
	}
	// Twice is once, also for an attachment that was read from the journal.
	a.State = Attached
	if err := n.Attach(t.Context(), &a, vf.PF{}, vf.DefaultSettings(), nil); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := n.Release(t.Context(), a, vf.PF{Interface: "eth0"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if driver, err := n.DPDK.Driver(n.address); err != nil || driver != "igb" {
		t.Errorf("it is bound to %q, %v", driver, err)
	}
	n.wasReset(t)
	if bound, err := ReadBound(filepath.Dir(n.Bound.dir)); err != nil || len(bound) != 0 {
		t.Errorf("it is still known for bound: %v, %v", bound, err)
	}
}

// TestRestsInVFIO: a VF of the warm pool is not rebound, and is reset when it comes back.
func TestRestsInVFIO(t *testing.T) {
	t.Attr("fault", "32")
	n := newUserspaceNode(t, dpdktest.Device{Driver: "vfio-pci", Native: "igbvf", Group: 3}, "igbvf", "vfio-pci")
	a := n.plan(t, false, "vfio-pci")
	if err := n.Attach(t.Context(), &a, vf.PF{}, vf.DefaultSettings(), nil); err != nil {
		t.Fatal(err)
	}
	if err := n.Release(t.Context(), a, vf.PF{}, nil); err != nil {
		t.Fatal(err)
	}
	if driver, err := n.DPDK.Driver(n.address); err != nil || driver != "vfio-pci" {
		t.Errorf("it is bound to %q, %v", driver, err)
	}
	n.wasReset(t)
}

func TestRefusedForUserspace(t *testing.T) {
	for name, c := range map[string]struct {
		device  dpdktest.Device
		drivers []string
		change  func(*userspaceNode)
		said    []string
	}{
		"no module": {dpdktest.Device{Driver: "igb", Native: "igb", Group: 3}, []string{"igb"}, nil, []string{"the kernel has no driver vfio-pci now", "modprobe vfio-pci"}},
		"no IOMMU":  {dpdktest.Device{Driver: "igb", Native: "igb", Group: -1}, []string{"igb", "vfio-pci"}, nil, []string{"the IOMMU is off", "intel_iommu=on"}},
		"foreign member": {dpdktest.Device{Driver: "igb", Native: "igb", Group: 3}, []string{"igb", "ahci", "vfio-pci"}, func(n *userspaceNode) {
			n.AddDevice("0000:01:00.1", dpdktest.Device{Driver: "ahci", Native: "ahci", Group: 3})
		}, []string{"0000:01:00.1 (ahci)"}},
		"bifurcated": {dpdktest.Device{Driver: "mlx5_core", Native: "mlx5_core", Group: 3}, []string{"mlx5_core", "vfio-pci"}, nil, []string{"device: netdev with rdma: true"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newUserspaceNode(t, c.device, c.drivers...)
			if c.change != nil {
				c.change(n)
			}
			a := n.plan(t, true, "")
			err := n.Attach(t.Context(), &a, vf.PF{Interface: "eth0"}, vf.DefaultSettings(), nil)
			for _, said := range c.said {
				if err == nil || !strings.Contains(err.Error(), said) {
					t.Errorf("%v\nlacks %q", err, said)
				}
			}
			if driver, err := n.DPDK.Driver(n.address); err != nil || driver != c.device.Driver {
				t.Errorf("it is bound to %q, %v", driver, err)
			}
			if err := n.Release(t.Context(), a, vf.PF{Interface: "eth0"}, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestApplicationDrivesPF: what only that application can set is refused.
func TestApplicationDrivesPF(t *testing.T) {
	n := newUserspaceNode(t, dpdktest.Device{Driver: "vfio-pci", Native: "igbvf", Group: 3}, "igbvf", "vfio-pci")
	a := n.plan(t, false, "vfio-pci")
	a.Settings.VLAN.ID = 100
	err := n.Attach(t.Context(), &a, vf.PF{}, vf.DefaultSettings(), nil)
	if err == nil || !strings.Contains(err.Error(), "vlan") || !strings.Contains(err.Error(), "driven by an application") {
		t.Error(err)
	}
}

// TestBoundForgets: what is no record of ours says nothing.
func TestBoundForgets(t *testing.T) {
	b, err := OpenBound(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	address := vf.PCIAddress{Bus: 1}
	for _, text := range []string{"", "{", `{"home":[{"interface":"../x","mac":"02:00:00:00:00:01"}]}`, `{"home":[{"interface":"eth0"}]}`} {
		if err := os.WriteFile(filepath.Join(b.dir, address.String()+".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if before, err := b.read(address); err != nil || len(before.Home) != 0 {
			t.Errorf("%q is read as %+v, %v", text, before, err)
		}
	}
	for range 2 {
		if err := b.remove(address); err != nil {
			t.Error(err)
		}
	}
}

// TestBoundOfALaterVersion: only the program that wrote the mark knows what it says; a FIFO in its place says nothing.
func TestBoundOfALaterVersion(t *testing.T) {
	b, err := OpenBound(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	address := vf.PCIAddress{Bus: 1}
	name := filepath.Join(b.dir, address.String()+".json")
	if err := os.WriteFile(name, fmt.Appendf(nil, `{"version":%d,"home":"elsewhere"}`, journal.Version+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.read(address); !errors.Is(err, journal.ErrLater) {
		t.Errorf("it is read: %v", err)
	}
	for _, text := range []string{`{"home":[{"interface":"eth0","mac":"02:00:00:00:00:01","mtu":1500}]}`, `{"version":2,"home":[{"interface":"eth0","mac":"02:00:00:00:00:01","mtu":1500}]}`} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if before, err := b.read(address); err != nil || len(before.Home) != 1 || before.Home[0].Interface != "eth0" {
			t.Errorf("%s is read as %+v, %v", text, before, err)
		}
	}
	if err := errors.Join(os.Remove(name), syscall.Mkfifo(name, 0o600)); err != nil {
		t.Fatal(err)
	}
	if before, err := b.read(address); err != nil || len(before.Home) != 0 {
		t.Errorf("%+v, %v", before, err)
	}
}
