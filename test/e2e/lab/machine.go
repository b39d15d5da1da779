package lab

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/guest/protocol"
)

// VFs that each PF gets when Options does not say.
const (
	DefaultVFs = 7  // all that igb has
	NoVFs      = -1 // leave sriov_numvfs alone
)

// HostAddress is where a guest reaches the host's 127.0.0.1.
const HostAddress = "10.0.2.2"

// NIC is one PF of a guest.
type NIC struct {
	// Name is the PF's interface in the guest. VF n of it is named <Name>v<n>
	// whenever it appears in the guest's own namespace under the kernel's name.
	Name string
	// Wire joins NICs: those with the same wire are on one hub.
	Wire string
}

// Trunk joins a wire with one of another guest, over the host's loopback. The
// other guest has the same trunk with the ports exchanged.
type Trunk struct {
	Wire                  string
	LocalPort, RemotePort int
}

// Options is how a guest differs from the usual one; the zero value is the
// usual one.
type Options struct {
	NICs   []NIC // default: pf0 and pf1, both on one wire
	Trunks []Trunk
	VFs    int      // VFs per PF, made before Boot returns; default DefaultVFs
	Memory string   // as QEMU takes it; default 3G
	Args   []string // more arguments for the kernel
	// HugePages is how many huge pages of 2 MB are taken out of the memory.
	HugePages int
	// Containerd is the version of containerd, such as 1.7.35, of a guest that
	// Start boots; default: the one that NRI_SRIOV_LAB_CONTAINERD names, or else
	// the pinned one. Boot takes what the assets have.
	Containerd string
	// Forward are ports of the guest that the host reaches at 127.0.0.1 under the same number.
	Forward []int
	// State is a file for what is to outlive the guest: its /var/lib. Boot makes
	// it when it is not there, and only one guest at a time may use it. Default:
	// /var/lib is memory.
	State string
	// Logs is the folder for the console and what Collect brings; default a
	// new one under the folder for temporary files.
	Logs string
	// Limit is how long booting may take; default 4 minutes (it takes some 15 s
	// on an idle machine).
	Limit time.Duration
}

func (o Options) withDefaults() Options {
	if o.NICs == nil {
		o.NICs = []NIC{{Name: "pf0", Wire: "wire"}, {Name: "pf1", Wire: "wire"}}
	}
	switch {
	case o.VFs == 0:
		o.VFs = DefaultVFs
	case o.VFs < 0:
		o.VFs = 0
	}
	if o.Memory == "" {
		o.Memory = "3G"
	}
	if o.Limit == 0 {
		o.Limit = 4 * time.Minute
	}
	return o
}

// pciAddress is where the guest finds NIC n: each is behind a port of its own,
// and the firmware numbers the ports' buses in order.
func pciAddress(n int) string { return fmt.Sprintf("0000:%02x:00.0", n+1) }

// machine is one QEMU's command line, but for the program itself.
type machine struct {
	options Options
	assets  *Assets
	token   string
	port    int    // of the agent, on the host's loopback
	console string // file
}

func (m machine) args() []string {
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		// No KVM: the lab is the same on every host.
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", m.options.Memory,
		"-M", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on,caching-mode=on",
		"-serial", "file:" + m.console,
		"-kernel", m.assets.Kernel, "-initrd", m.assets.Initramfs, "-append", m.append(),
		// Only read, and by several guests at once.
		"-drive", "if=none,id=root,format=raw,readonly=on,file.locking=off,file=" + m.assets.Image,
		"-device", "virtio-blk-pci,drive=root",
		"-chardev", "stdio,id=control", "-mon", "chardev=control,mode=control",
		"-netdev", m.userNetwork(),
		"-device", "virtio-net-pci,netdev=host,romfile=",
		"-device", "virtio-rng-pci",
	}
	if m.options.State != "" {
		args = append(args, "-drive", "if=none,id=state,format=raw,file="+m.options.State,
			"-device", "virtio-blk-pci,drive=state")
	}
	return append(args, m.nics()...)
}

// userNetwork is how guest and host reach each other.
func (m machine) userNetwork() string {
	network := fmt.Sprintf("user,id=host,hostfwd=tcp:127.0.0.1:%d-:%d", m.port, protocol.Port)
	for _, port := range m.options.Forward {
		network += fmt.Sprintf(",hostfwd=tcp:127.0.0.1:%[1]d-:%[1]d", port)
	}
	return network
}

func (m machine) append() string {
	words := []string{
		"console=ttyS0", "panic=-1", "intel_iommu=on", "iommu=pt", "mitigations=off", "apparmor=0",
		"random.trust_cpu=on", "no_timer_check",
		protocol.ArgToken + "=" + m.token,
		fmt.Sprintf("%s=%d", protocol.ArgVFs, m.options.VFs),
	}
	for n, nic := range m.options.NICs {
		words = append(words, fmt.Sprintf("%s=%s@%s", protocol.ArgNIC, nic.Name, pciAddress(n)))
	}
	if m.options.HugePages > 0 {
		words = append(words, fmt.Sprintf("hugepagesz=2M hugepages=%d", m.options.HugePages))
	}
	return strings.Join(append(words, m.options.Args...), " ")
}

// nics puts each NIC behind a root port, and on its wire's hub.
func (m machine) nics() []string {
	var args, wires []string
	hub := func(wire string) int {
		if !slices.Contains(wires, wire) {
			wires = append(wires, wire)
		}
		return slices.Index(wires, wire)
	}
	for n, nic := range m.options.NICs {
		args = append(args,
			"-netdev", fmt.Sprintf("hubport,id=nic%d,hubid=%d", n, hub(nic.Wire)),
			"-device", fmt.Sprintf("pcie-root-port,id=rp%d,slot=%d,chassis=%d,addr=%#x", n, n+1, n+1, 0x10+n),
			"-device", fmt.Sprintf("igb,id=igb%d,netdev=nic%d,bus=rp%d,mac=52:54:00:%02x:%02x:%02x", n, n, n, m.port>>8, m.port&0xff, n+1))
	}
	for n, trunk := range m.options.Trunks {
		args = append(args,
			"-netdev", fmt.Sprintf("dgram,id=trunk%d,local.type=inet,local.host=127.0.0.1,local.port=%d,"+
				"remote.type=inet,remote.host=127.0.0.1,remote.port=%d", n, trunk.LocalPort, trunk.RemotePort),
			"-netdev", fmt.Sprintf("hubport,id=trunkport%d,hubid=%d,netdev=trunk%d", n, hub(trunk.Wire), n))
	}
	return args
}
