package vf_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/nri-sriov/nri-sriov/pkg/vf/vftest"
)

const inputPF, inputVF = "0000:01:00.0", "0000:01:10.0"

// inputTree has one PF with one VF.
func inputTree(t *testing.T) *vftest.Sysfs {
	t.Helper()
	tree := vftest.NewSysfs(t)
	tree.AddPF(inputPF, vftest.PF{Interface: "enp1s0", Driver: "igb", TotalVFs: 7, NUMANode: 0})
	tree.AddVF(inputVF, inputPF, 0, vftest.VF{Interface: "enp1s0v0", Driver: "igbvf", IOMMUGroup: 12})
	return tree
}

// read reads all that a tree tells.
func read(t *testing.T, host *vf.Host) ([]vf.PF, []vf.VF, error) {
	t.Helper()
	pfs, err := host.PFs()
	if err != nil {
		return nil, nil, err
	}
	vfs, err := host.VFs(address(t, inputPF))
	if err != nil {
		return pfs, nil, err
	}
	_, numaErr := host.NUMANodes("0-3")
	_, mtuErr := host.MTU(address(t, inputPF), "enp1s0")
	_, _ = numaErr, mtuErr // whatever they say
	names, err := host.Interfaces(address(t, inputVF))
	for _, name := range names {
		if strings.Contains(name, "/") {
			t.Errorf("an interface called %q", name)
		}
	}
	return pfs, vfs, err
}

// TestLinksThatLeaveSysfs: a link is read, or followed within the tree; nothing outside is ever opened.
func TestLinksThatLeaveSysfs(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "sriov_totalvfs"), []byte("99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, link := range map[string]struct{ at, to string }{
		"a device":               {"bus/pci/devices/0000:09:00.0", outside},
		"a device by dots":       {"bus/pci/devices/0000:09:00.0", strings.Repeat("../", 30) + outside},
		"a number of VFs":        {"bus/pci/devices/" + inputPF + "/sriov_numvfs", filepath.Join(outside, "sriov_totalvfs")},
		"a VF":                   {"bus/pci/devices/" + inputPF + "/virtfn1", outside},
		"a VF by its address":    {"bus/pci/devices/" + inputPF + "/virtfn1", "../../../../../../" + outside + "/0000:01:10.2"},
		"a VF that is no VF":     {"bus/pci/devices/" + inputPF + "/virtfn1", "../enp1s0"},
		"interfaces":             {"bus/pci/devices/" + inputVF + "/net", outside},
		"a driver":               {"bus/pci/devices/" + inputVF + "/driver", strings.Repeat("../", 30) + "etc/passwd"},
		"an IOMMU group":         {"bus/pci/devices/" + inputVF + "/iommu_group", strings.Repeat("../", 30) + "etc/9"},
		"a link to itself":       {"bus/pci/devices/" + inputVF + "/net", "net"},
		"a function from itself": {"bus/pci/devices/" + inputPF + "/virtfn1", "virtfn1"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := inputTree(t)
			at := filepath.Join(tree.Dir, link.at)
			if err := errors.Join(os.RemoveAll(at), os.Symlink(link.to, at)); err != nil {
				t.Fatal(err)
			}
			pfs, vfs, _ := read(t, openHost(t, tree))
			for _, one := range pfs {
				if one.TotalVFs == 99 || one.NumVFs == 99 || one.Address.Bus == 9 {
					t.Errorf("it was read from outside: %+v", one)
				}
			}
			for _, one := range vfs {
				if strings.ContainsAny(one.Driver+strings.Join(one.Interfaces, ""), "/") || len(one.Interfaces) > 0 && one.Interfaces[0] == "sriov_totalvfs" {
					t.Errorf("it was read from outside: %+v", one)
				}
			}
		})
	}
}

// FuzzSysfs: whatever the texts of sysfs hold, and wherever its links lead, reading ends with an answer or an error.
func FuzzSysfs(f *testing.F) {
	f.Add("7\n", "../0000:01:10.0", "igb")
	f.Add("-1", "../../../../../etc/passwd", "..")
	f.Add("99999999999999999999\x00", "0000:01:10.9", "a b")
	f.Fuzz(func(t *testing.T, text, target, name string) {
		tree := inputTree(t)
		for _, file := range []string{"sriov_totalvfs", "sriov_numvfs", "numa_node", "vendor", "device", "net/enp1s0/speed", "net/enp1s0/dev_port", "net/enp1s0/phys_port_name", "net/enp1s0/mtu"} {
			tree.Write("bus/pci/devices/"+inputPF+"/"+file, text)
		}
		for _, link := range []string{inputPF + "/virtfn1", inputPF + "/iommu_group", inputVF + "/physfn", inputVF + "/driver"} {
			at := filepath.Join(tree.Dir, "bus/pci/devices", link)
			_ = os.Remove(at)
			_ = os.Symlink(target, at) // a text that cannot be a link's is none
		}
		if filepath.Base(name) == name && len(name) < 100 {
			_ = os.MkdirAll(filepath.Join(tree.Dir, "bus/pci/devices", inputVF, "net", name), 0o755)
		}
		_, vfs, err := read(t, openHost(t, tree))
		if errors.Is(err, fs.ErrPermission) {
			t.Error(err)
		}
		for _, one := range vfs {
			if one.PF != address(t, inputPF) || one.ID < 0 || strings.Contains(one.Driver, "/") {
				t.Errorf("%+v", one)
			}
		}
	})
}
