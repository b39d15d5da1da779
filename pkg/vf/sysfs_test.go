package vf_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/nri-sriov/nri-sriov/pkg/vf/vftest"
)

func openHost(t *testing.T, tree *vftest.Sysfs) *vf.Host {
	t.Helper()
	host, err := vf.OpenHost(tree.Dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return host
}

func TestPFsAndVFs(t *testing.T) {
	tree := vftest.NewSysfs(t)
	tree.AddPF("0000:02:00.0", vftest.PF{Interface: "enp2s0", Driver: "igb", TotalVFs: 7, NUMANode: -1})
	tree.AddPF("0000:01:00.0", vftest.PF{Interface: "enp1s0", Driver: "igb", TotalVFs: 7, NUMANode: 0})
	tree.AddVF("0000:01:10.0", "0000:01:00.0", 0, vftest.VF{Interface: "enp1s0v0", Driver: "igbvf", IOMMUGroup: 12})
	tree.AddVF("0000:01:10.4", "0000:01:00.0", 1, vftest.VF{Driver: "vfio-pci", IOMMUGroup: -1})
	tree.Write("bus/pci/devices/0000:02:00.0/net/enp2s0/speed", "25000\n")
	tree.Write("bus/pci/devices/0000:01:00.0/net/enp1s0/speed", "-1\n") // as a link that is down
	host := openHost(t, tree)
	pfs, err := host.PFs()
	if err != nil {
		t.Fatal(err)
	}
	first := vf.PF{
		Address: address(t, "0000:01:00.0"), Interface: "enp1s0", Driver: "igb", Vendor: "8086", Device: "10c9",
		NUMANode: 0, IOMMUGroup: -1, TotalVFs: 7, NumVFs: 2,
	}
	second := first
	second.Address, second.Interface, second.NUMANode, second.NumVFs = address(t, "0000:02:00.0"), "enp2s0", -1, 0
	second.Speed = 25000
	instances := map[uint64]bool{0: true}
	for i := range pfs {
		if instances[pfs[i].Instance] {
			t.Errorf("the instance of PF %s is not its own", pfs[i].Address)
		}
		instances[pfs[i].Instance], pfs[i].Instance = true, 0
	}
	if diff := cmp.Diff([]vf.PF{first, second}, pfs); diff != "" {
		t.Error(diff)
	}
	vfs, err := host.VFs(first.Address)
	if err != nil {
		t.Fatal(err)
	}
	for i := range vfs {
		if instances[vfs[i].Instance] {
			t.Errorf("the instance of VF %s is not its own", vfs[i].Address)
		}
		instances[vfs[i].Instance], vfs[i].Instance = true, 0
	}
	wanted := []vf.VF{
		{
			Address: address(t, "0000:01:10.0"), PF: first.Address, ID: 0, Interfaces: []string{"enp1s0v0"}, Driver: "igbvf",
			NUMANode: -1, IOMMUGroup: 12,
		},
		{Address: address(t, "0000:01:10.4"), PF: first.Address, ID: 1, Driver: "vfio-pci", NUMANode: -1, IOMMUGroup: -1},
	}
	if diff := cmp.Diff(wanted, vfs); diff != "" {
		t.Error(diff)
	}
	if names, err := host.Interfaces(wanted[0].Address); err != nil || len(names) != 1 {
		t.Errorf("interfaces: %v, %v", names, err)
	}
	if _, err := host.Interfaces(address(t, "0000:09:00.0")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("interfaces of nothing: %v", err)
	}
}

func TestUplinkAmongRepresentors(t *testing.T) {
	tree := vftest.NewSysfs(t)
	tree.AddPF("0000:01:00.0", vftest.PF{Interface: "enp1s0np0", Driver: "mlx5_core", TotalVFs: 4, NUMANode: 1})
	tree.Write("bus/pci/devices/0000:01:00.0/net/enp1s0np0/phys_port_name", "p0\n")
	tree.Write("bus/pci/devices/0000:01:00.0/net/a_representor/phys_port_name", "pf0vf0\n")
	pf, err := openHost(t, tree).PF(address(t, "0000:01:00.0"))
	if err != nil || pf.Interface != "enp1s0np0" {
		t.Errorf("uplink %q, %v", pf.Interface, err)
	}
}

func TestMachineWithoutSRIOV(t *testing.T) {
	host, err := vf.OpenHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pfs, err := host.PFs()
	if err != nil || len(pfs) != 0 {
		t.Errorf("PFs %v, %v", pfs, err)
	}
	if err := host.Close(); err != nil {
		t.Error(err)
	}
}

func TestPFThatIsNone(t *testing.T) {
	tree := vftest.NewSysfs(t)
	if err := os.MkdirAll(tree.Dir+"/bus/pci/devices/0000:05:00.0", 0o755); err != nil {
		t.Fatal(err)
	}
	host := openHost(t, tree)
	if _, err := host.PF(address(t, "0000:05:00.0")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if pfs, err := host.PFs(); err != nil || len(pfs) != 0 {
		t.Errorf("PFs %v, %v", pfs, err)
	}
}

func address(t *testing.T, text string) vf.PCIAddress {
	t.Helper()
	a, err := vf.ParsePCIAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
