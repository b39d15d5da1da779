package attach

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/nri-sriov/nri-sriov/pkg/cni"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Want is one granted entry of a pod's request: VFs of one PF, or the PF itself, and what is to be made of them.
type Want struct {
	Network string
	// Interfaces are the names in the pod, one per VF.
	Interfaces []string
	// Whole asks for the PF itself.
	Whole bool
	// Device is config.DeviceNetdev or config.DeviceVFIO.
	Device string
	// MaxPerNamespace bounds the VFs of the network that the pods of one namespace have; 0 is no bound.
	MaxPerNamespace int
	// RDMA asks for the RDMA device, too, VhostNet for the nodes of vhost-net and tun.
	RDMA, VhostNet bool
	// Containers that may use the VFs; nil is all.
	Containers []string
	Settings   vf.Settings
	// MTU is in bytes; 0 leaves the VF's own.
	MTU int
	// Addresses and Routes are given in any case, Delegate by an IPAM plugin.
	Addresses  []cni.Address
	Routes     []cni.Route
	DNS        cni.DNS
	Delegate   *Delegate
	CNIVersion string
	// Required, Forbidden and AnyOf are the traits of the PF.
	Required, Forbidden []string
	AnyOf               [][]string
	// From are the VFs that the kubelet gave the pod for Resource, of which this takes some; nil takes what is free.
	Resource string
	From     []vf.PCIAddress
}

// Delegate is an IPAM plugin's part in an attachment.
type Delegate struct {
	// Config is the network's ipam section, as the plugin reads it.
	Config json.RawMessage `json:"config"`
	// IPs are what the pod asks the plugin for.
	IPs []netip.Prefix `json:"ips,omitempty"`
	// Leased tells that the plugin may hold something for the attachment: it is set before the plugin is asked, and
	// taken back when the plugin has confirmed that all is given back.
	Leased bool `json:"leased,omitempty"`
}

func (w Want) group() inventory.Group {
	return inventory.Group{
		Name: w.Network, Count: len(w.Interfaces), Whole: w.Whole, Userspace: w.Device == config.DeviceVFIO,
		Egress:   egressOf(w.Settings),
		Required: w.Required, Forbidden: w.Forbidden, AnyOf: w.AnyOf, Resource: w.Resource, From: w.From,
	}
}

// egressOf is what a VF draws on its PF's bandwidth, in kilobit/s: what it is guaranteed, else what it may use.
func egressOf(settings vf.Settings) int {
	return 1000 * int(cmp.Or(settings.MinTxRate, settings.MaxTxRate))
}

// owned is how the pool is told of an attachment that a sandbox has already.
func (a Attachment) owned() inventory.Group {
	return inventory.Group{Userspace: a.Device == config.DeviceVFIO, Egress: egressOf(a.Settings)}
}

// State is how far an attachment is.
type State string

// The states of an attachment, in their order. A failed one has given its VF back or is about to.
const (
	Waiting   State = "waiting"
	Attaching State = "attaching"
	Attached  State = "attached"
	Releasing State = "releasing"
	Failed    State = "failed"
)

// Port is one network interface of a VF. Nearly all VFs have one; some adapters hang two ports on one function.
type Port struct {
	// Interface is its name in the pod.
	Interface string  `json:"interface"`
	Resting   Resting `json:"resting"`
	// MAC and MTU (bytes) are those that the pod sees, once attached.
	MAC vf.MAC `json:"mac"`
	MTU int    `json:"mtu,omitempty"`

	// index is the interface's in the pod, once it was read back there.
	index int
}

// Attachment is one VF in one sandbox, with all that is needed to finish it or to undo it. It is journaled.
type Attachment struct {
	Network    string   `json:"network"`
	Interface  string   `json:"interface"`
	Containers []string `json:"containers,omitempty"`
	// Device is config.DeviceNetdev or config.DeviceVFIO.
	Device   string `json:"device"`
	RDMA     bool   `json:"rdma,omitempty"`
	VhostNet bool   `json:"vhostNet,omitempty"`

	// Address is the VF's, or the PF's own where Whole is set.
	Address vf.PCIAddress `json:"pciAddress"`
	PF      vf.PCIAddress `json:"pfAddress"`
	PFName  string        `json:"pf"`
	Whole   bool          `json:"whole,omitempty"`
	// VFID is -1 for a whole PF.
	VFID     int    `json:"vfID"`
	Driver   string `json:"driver"`
	NUMANode int    `json:"numaNode"`
	// VFToken is what vfio-pci asks for when the device is opened, where it asks for something.
	VFToken string `json:"vfToken,omitempty"`
	// IOMMUGroup is -1 when no IOMMU is on.
	IOMMUGroup int `json:"iommuGroup"`
	// Ports is one without a resting state for a function that the pod drives itself.
	Ports []Port `json:"ports"`

	// AllowNoIOMMU lets the pod have the function without an IOMMU.
	AllowNoIOMMU bool `json:"allowNoIOMMU,omitempty"`
	// Rest is the driver that the function rests in; empty is its network driver.
	Rest string `json:"rest,omitempty"`
	// Home is how the interfaces lie of a function that rests in another driver or is with a pod in one, when its network
	// driver has it again.
	Home []Resting `json:"home,omitempty"`
	// NumVFs and VFNames, by number, are what a PF has lost that the pod drives itself.
	NumVFs  int            `json:"numVFs,omitempty"`
	VFNames map[int]string `json:"vfNames,omitempty"`

	Settings  vf.Settings   `json:"settings"`
	MTU       int           `json:"mtu,omitempty"`
	Addresses []cni.Address `json:"addresses,omitempty"`
	Routes    []cni.Route   `json:"routes,omitempty"`
	DNS       cni.DNS       `json:"dns,omitzero"`
	Delegate  *Delegate     `json:"delegate,omitempty"`
	// Lease is what the IPAM plugin gave.
	Lease      *cni.Lease `json:"lease,omitempty"`
	CNIVersion string     `json:"cniVersion"`

	State State `json:"state"`
	// Error says why the state is what it is, where something went wrong.
	Error string `json:"error,omitempty"`
	// Result is the CNI result, once attached.
	Result json.RawMessage `json:"result,omitempty"`
	// Freed tells that the VF is free again, and that only the IPAM plugin still holds something.
	Freed bool `json:"freed,omitempty"`

	// resumed tells that an earlier daemon began the attachment.
	resumed bool
}

// UsableBy tells whether a container of the pod may use the attachment.
func (a Attachment) UsableBy(container string) bool {
	return a.Containers == nil || slices.Contains(a.Containers, container)
}

// maxInterfaceName is IFNAMSIZ of linux/if.h without the closing zero byte.
const maxInterfaceName = 15

// newAttachment plans what is to be made of a function, which rests in the host as resting tells.
func newAttachment(want Want, name string, pf vf.PF, one inventory.VF, resting []Resting) (Attachment, error) {
	a := Attachment{
		Network: want.Network, Interface: name, Containers: want.Containers,
		Device: cmp.Or(want.Device, config.DeviceNetdev), RDMA: want.RDMA, VhostNet: want.VhostNet,
		Address: one.Address, PF: pf.Address, PFName: pf.Name(), Whole: want.Whole, VFID: one.ID, Driver: one.Driver,
		NUMANode: one.NUMANode, IOMMUGroup: one.IOMMUGroup,
		AllowNoIOMMU: one.AllowNoIOMMU, Rest: one.Rest, VFToken: one.VFToken,
		Settings: want.Settings, MTU: want.MTU, Addresses: want.Addresses, Routes: want.Routes, DNS: want.DNS,
		CNIVersion: want.CNIVersion, State: Attaching,
	}
	if want.Delegate != nil {
		a.Delegate = &Delegate{Config: want.Delegate.Config, IPs: want.Delegate.IPs, Leased: true}
	}
	if want.Device == config.DeviceVFIO {
		return a, a.planUserspace(pf, resting)
	}
	if one.Rest != "" {
		a.Home, resting = resting, nil
	}
	for i, each := range resting {
		port, err := newPort(name, i, one.Address, each)
		if err != nil {
			return Attachment{}, err
		}
		a.Ports = append(a.Ports, port)
	}
	if len(resting) == 0 {
		a.Ports = []Port{{Interface: name}} // found out when the function has its network driver
	}
	return a, nil
}

// newPort names a port of a function: net1, net1d1, ….
func newPort(name string, i int, address vf.PCIAddress, resting Resting) (Port, error) {
	port := Port{Interface: name, Resting: resting}
	if i > 0 {
		port.Interface = fmt.Sprintf("%sd%d", name, i)
	}
	if len(port.Interface) > maxInterfaceName {
		return Port{}, fmt.Errorf("%s has several interfaces, and the name %q of one is longer than %d bytes: choose a shorter name",
			address, port.Interface, maxInterfaceName)
	}
	return port, nil
}

// planUserspace is what differs for a function that the pod drives itself. Its MAC address is the pod's choice, else the
// one that it has as an interface, else a random one.
func (a *Attachment) planUserspace(pf vf.PF, home []Resting) error {
	a.Ports, a.Home = []Port{{Interface: a.Interface}}, home
	a.Driver = a.Rest
	if !dpdk.IsVFIO(a.Driver) && !dpdk.IsUIO(a.Driver) {
		a.Driver = vfioDriver
	}
	switch {
	case a.Whole:
		a.VFToken, a.NumVFs = newVFToken(), pf.NumVFs
		if !a.Settings.MAC.IsZero() {
			return errors.New("a whole PF that the pod drives itself has the adapter's own MAC address: leave mac out of the annotation")
		}
	case a.bare():
		if !a.Settings.MAC.IsZero() {
			return fmt.Errorf("the PF %s is driven by an application, which alone can give its VFs a MAC address: leave mac out of the annotation", pf.Name())
		}
	case a.Settings.MAC.IsZero() && len(home) > 0:
		a.Settings.MAC = home[0].MAC
	case a.Settings.MAC.IsZero():
		a.Settings.MAC = randomMAC()
	}
	return nil
}

// vfioDriver is what binds a function for user space where the provider says nothing else.
const vfioDriver = "vfio-pci"

// bare tells whether an application drives the PF, so that the kernel can set nothing of its VFs.
func (a Attachment) bare() bool { return a.VFToken != "" && !a.Whole }

// homeInterfaces are its names in the host when its network driver has it; hostInterfaces those while a pod has it.
func (a Attachment) homeInterfaces() []string {
	var names []string
	for _, port := range a.Ports {
		if port.Resting.Interface != "" {
			names = append(names, port.Resting.Interface)
		}
	}
	for _, home := range a.Home {
		names = append(names, home.Interface)
	}
	return names
}

func (a Attachment) hostInterfaces() []string {
	if a.Device == config.DeviceVFIO {
		return nil
	}
	return a.homeInterfaces()
}

// setByPF tells whether the PF decides on settings of the function.
func (a Attachment) setByPF() bool { return !a.Whole && !a.bare() }

// result writes down what the pod has got.
func (a Attachment) result(netns string) (json.RawMessage, error) {
	result := cni.Attachment{
		Version: a.CNIVersion, Sandbox: netns, PCIID: a.Address.String(), Addresses: a.AllAddresses(), Routes: a.AllRoutes(), DNS: a.AllDNS(),
	}
	for _, port := range a.Ports {
		one := cni.Interface{Name: port.Interface, MTU: port.MTU}
		if !port.MAC.IsZero() {
			one.MAC = port.MAC.String()
		}
		result.Interfaces = append(result.Interfaces, one)
	}
	return result.Result()
}
