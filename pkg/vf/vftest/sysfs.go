// Package vftest makes sysfs trees for tests, with the links that the kernel makes, so that the code under test takes
// the same way as on a real machine.
package vftest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Sysfs is a tree in a folder of the test.
type Sysfs struct {
	t *testing.T
	// Dir is its root.
	Dir string
	vfs map[string]int
}

// NewSysfs makes an empty tree.
func NewSysfs(t *testing.T) *Sysfs {
	t.Helper()
	s := &Sysfs{t: t, Dir: t.TempDir(), vfs: map[string]int{}}
	s.mkdir("bus/pci/devices")
	return s
}

// PF describes a physical function, an Intel 82576 by its PCI ids.
type PF struct {
	Interface, Driver  string
	TotalVFs, NUMANode int
}

// VF describes a virtual function; without Interface it has none in the host.
type VF struct {
	Interface, Driver string
	// IOMMUGroup is -1 for none.
	IOMMUGroup int
}

// AddPF adds a PF without VFs.
func (s *Sysfs) AddPF(address string, pf PF) {
	s.t.Helper()
	s.device(address, pf.Driver, pf.Interface)
	dir := devices(address)
	s.Write(dir+"/sriov_totalvfs", fmt.Sprintln(pf.TotalVFs))
	s.Write(dir+"/sriov_numvfs", "0\n")
	s.Write(dir+"/numa_node", fmt.Sprintln(pf.NUMANode))
	s.Write(dir+"/vendor", "0x8086\n")
	s.Write(dir+"/device", "0x10c9\n")
}

// AddVF adds a VF to a PF that is there.
func (s *Sysfs) AddVF(address, pf string, id int, one VF) {
	s.t.Helper()
	s.device(address, one.Driver, one.Interface)
	s.Write(devices(address)+"/numa_node", "-1\n")
	s.link("../"+pf, devices(address)+"/physfn")
	s.link("../"+address, fmt.Sprintf("%s/virtfn%d", devices(pf), id))
	if one.IOMMUGroup >= 0 {
		s.mkdir(fmt.Sprint("kernel/iommu_groups/", one.IOMMUGroup))
		s.link(fmt.Sprint("../../../kernel/iommu_groups/", one.IOMMUGroup), devices(address)+"/iommu_group")
	}
	s.vfs[pf]++
	s.Write(devices(pf)+"/sriov_numvfs", fmt.Sprintln(s.vfs[pf]))
}

// Write writes a file of the tree.
func (s *Sysfs) Write(name, text string) {
	s.t.Helper()
	s.mkdir(filepath.Dir(name))
	if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// device adds what every PCI function has: the real folder below devices/, the link to it, driver and netdev.
func (s *Sysfs) device(address, driver, name string) {
	s.t.Helper()
	s.mkdir("devices/pci0000:00/" + address)
	s.link("../../../devices/pci0000:00/"+address, devices(address))
	if driver != "" {
		s.mkdir("bus/pci/drivers/" + driver)
		s.link("../../../bus/pci/drivers/"+driver, devices(address)+"/driver")
	}
	if name != "" {
		s.mkdir(devices(address) + "/net/" + name)
	}
}

func devices(address string) string { return "bus/pci/devices/" + address }

func (s *Sysfs) mkdir(name string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Join(s.Dir, name), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Sysfs) link(target, name string) {
	s.t.Helper()
	if err := os.Symlink(target, filepath.Join(s.Dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

// Link makes a symbolic link of the tree, as relative as the kernel's are.
func (s *Sysfs) Link(target, name string) {
	s.t.Helper()
	s.mkdir(filepath.Dir(name))
	s.link(target, name)
}
