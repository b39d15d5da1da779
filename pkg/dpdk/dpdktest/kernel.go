// Package dpdktest makes a sysfs tree for tests that answers the writes by which drivers are bound as the kernel does.
package dpdktest

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/vf/vftest"
)

// VFIOMajor, CdevMajor and UIOMajor are the majors of the nodes that this kernel makes.
const VFIOMajor, CdevMajor, UIOMajor = 240, 239, 238

// Kernel is a sysfs tree and an empty folder of device nodes. Store has the effects of one write and its answer; Run
// gives writes into the tree's own files their effects, a moment later and without an answer.
type Kernel struct {
	*vftest.Sysfs
	// Dev is the folder of device nodes.
	Dev string
	// Refusals are what a driver answers when it is given a device.
	Refusals map[string]error
	// Writes are what Store was told, Resets counts those to a device's reset.
	Writes []string
	Resets int

	t       *testing.T
	mu      sync.Mutex
	devices map[string]Device
}

// Device is a PCI function of the tree.
type Device struct {
	// Driver is what it is bound to at first, Native the one of the kernel that knows it by its PCI id.
	Driver, Native string
	// Group is its IOMMU group, -1 for none.
	Group int
	// Cdev gives it a node of its own when it is bound to vfio-pci, beside the group's.
	Cdev bool
}

// New makes a tree with drivers and without devices.
func New(t *testing.T, drivers ...string) *Kernel {
	t.Helper()
	k := &Kernel{Sysfs: vftest.NewSysfs(t), Dev: t.TempDir(), Refusals: map[string]error{}, t: t, devices: map[string]Device{}}
	k.Write("bus/pci/drivers_probe", "")
	for _, each := range drivers {
		k.AddDriver(each)
	}
	return k
}

// AddDriver loads a driver.
func (k *Kernel) AddDriver(name string) {
	k.t.Helper()
	k.Write("bus/pci/drivers/"+name+"/bind", "")
	k.Write("bus/pci/drivers/"+name+"/unbind", "")
	if name == "vfio-pci" {
		k.Write("class/misc/vfio/dev", "10:196\n")
	}
}

// AddDevice plugs a function in.
func (k *Kernel) AddDevice(address string, one Device) {
	k.t.Helper()
	folder := "devices/pci0000:00/" + address
	k.Write(folder+"/driver_override", "(null)\n")
	k.Write(folder+"/reset", "")
	k.Link("../../../"+folder, devices(address))
	if one.Group >= 0 {
		group := fmt.Sprint("kernel/iommu_groups/", one.Group)
		k.Link("../../../../"+folder, group+"/devices/"+address)
		k.Link("../../../"+group, devices(address)+"/iommu_group")
	}
	k.devices[address] = one
	if one.Driver != "" {
		k.bound(address, one.Driver)
	}
}

// Store writes to a file of sysfs. A device's driver is what its link says, so a test may change that by hand too.
func (k *Kernel) Store(name, text string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.store(name, strings.TrimSuffix(text, "\n"))
	k.Writes = append(k.Writes, fmt.Sprintf("%q > %s", text, name))
	if err != nil {
		return &fs.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}

func (k *Kernel) store(name, text string) error {
	dir, file := path.Split(name)
	dir = path.Clean(dir)
	if _, err := os.Stat(filepath.Join(k.Dir, name)); err != nil {
		return syscall.ENOENT
	}
	switch file {
	case "driver_override":
		if text == "" {
			text = "(null)"
		}
		k.Write(name, text+"\n")
		return nil
	case "reset":
		k.Resets++
		return nil
	case "drivers_probe":
		return k.probe(text)
	case "unbind":
		if k.driver(text) != path.Base(dir) {
			return syscall.ENODEV
		}
		k.unbound(text)
		return nil
	case "bind":
		return k.bind(text, path.Base(dir))
	}
	return syscall.EACCES
}

func (k *Kernel) probe(address string) error {
	one, there := k.devices[address]
	if !there {
		return syscall.ENODEV
	}
	driver := k.override(address)
	if driver == "" {
		driver = one.Native
	}
	if driver == "" || k.driver(address) != "" || !k.has("bus/pci/drivers/"+driver) {
		return nil // no driver feels responsible, which is no error
	}
	if k.Refusals[driver] != nil {
		return syscall.EINVAL // whatever the driver said
	}
	k.bound(address, driver)
	return nil
}

func (k *Kernel) bind(address, driver string) error {
	one, there := k.devices[address]
	override := k.override(address)
	switch {
	case !there, override != "" && override != driver, override == "" && one.Native != driver:
		return syscall.ENODEV
	case k.driver(address) != "":
		return syscall.EBUSY
	case k.Refusals[driver] != nil:
		return k.Refusals[driver]
	}
	k.bound(address, driver)
	return nil
}

// bound makes what appears with a driver.
func (k *Kernel) bound(address, driver string) {
	one := k.devices[address]
	switch {
	case driver == "vfio-pci" && one.Group >= 0:
		k.Write(fmt.Sprintf("class/vfio/%d/dev", one.Group), fmt.Sprintf("%d:%d\n", VFIOMajor, one.Group))
		k.Write(devices(address)+"/vfio-dev/vfio0/power", "")
		if one.Cdev {
			k.Write(devices(address)+"/vfio-dev/vfio0/dev", fmt.Sprintf("%d:0\n", CdevMajor))
			k.Write("class/misc/iommu/dev", "10:125\n")
		}
	case strings.Contains(driver, "uio"):
		k.Write(devices(address)+"/uio/uio0/dev", fmt.Sprintf("%d:0\n", UIOMajor))
	case driver == one.Native:
		k.Write(devices(address)+"/net/eth0/address", "")
	}
	k.Link("../../../bus/pci/drivers/"+driver, devices(address)+"/driver")
}

// unbound takes it away again.
func (k *Kernel) unbound(address string) {
	for _, name := range []string{"driver", "vfio-dev", "uio", "net"} {
		k.remove(devices(address) + "/" + name)
	}
	group := k.devices[address].Group
	for other, each := range k.devices {
		if each.Group == group && k.driver(other) == "vfio-pci" {
			return
		}
	}
	k.remove(fmt.Sprint("class/vfio/", group))
}

func (k *Kernel) driver(address string) string {
	target, err := os.Readlink(filepath.Join(k.Dir, devices(address), "driver"))
	if err != nil {
		return ""
	}
	return path.Base(target)
}

func (k *Kernel) override(address string) string {
	line, _, _ := strings.Cut(k.read(devices(address)+"/driver_override"), "\n")
	return strings.TrimPrefix(line, "(null)")
}

func (k *Kernel) read(name string) string {
	content, err := os.ReadFile(filepath.Join(k.Dir, name))
	if err != nil {
		k.t.Error(err)
	}
	return string(content)
}

func (k *Kernel) has(name string) bool {
	_, err := os.Stat(filepath.Join(k.Dir, name))
	return err == nil
}

func (k *Kernel) remove(name string) {
	if err := os.RemoveAll(filepath.Join(k.Dir, name)); err != nil {
		k.t.Error(err)
	}
}

func devices(address string) string { return "bus/pci/devices/" + address }
