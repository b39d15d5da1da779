package attach

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"github.com/nri-sriov/nri-sriov/pkg/cni"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Sandbox is what the runtime tells of a pod's sandbox.
type Sandbox struct {
	ID        string `json:"id"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	// NetNS is the path of its network namespace.
	NetNS string `json:"netns"`
	// NetNSInode tells the namespace from a later one at the same path.
	NetNSInode uint64 `json:"netnsInode"`
}

// Want is one granted entry of a pod's request: VFs of one PF, or the PF itself, and what is to be made of them.
type Want struct {
	Network string
	// Interfaces are the names in the pod, one per VF.
	Interfaces []string
	// Whole asks for the PF itself.
	Whole bool
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
		Name: w.Network, Count: len(w.Interfaces), Whole: w.Whole,
		Required: w.Required, Forbidden: w.Forbidden, AnyOf: w.AnyOf,
	}
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

	// Address is the VF's, or the PF's own where Whole is set.
	Address vf.PCIAddress `json:"pciAddress"`
	PF      vf.PCIAddress `json:"pfAddress"`
	PFName  string        `json:"pf"`
	Whole   bool          `json:"whole,omitempty"`
	// VFID is -1 for a whole PF.
	VFID     int    `json:"vfID"`
	Driver   string `json:"driver"`
	NUMANode int    `json:"numaNode"`
	// IOMMUGroup is -1 when no IOMMU is on.
	IOMMUGroup int    `json:"iommuGroup"`
	Ports      []Port `json:"ports"`

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

func newAttachment(want Want, name string, pf vf.PF, one vf.VF, resting []Resting) (Attachment, error) {
	a := Attachment{
		Network: want.Network, Interface: name, Containers: want.Containers,
		Address: one.Address, PF: pf.Address, PFName: pf.Name(), Whole: want.Whole, VFID: one.ID, Driver: one.Driver,
		NUMANode: one.NUMANode, IOMMUGroup: one.IOMMUGroup,
		Settings: want.Settings, MTU: want.MTU, Addresses: want.Addresses, Routes: want.Routes, DNS: want.DNS,
		CNIVersion: want.CNIVersion, State: Attaching,
	}
	if want.Delegate != nil {
		a.Delegate = &Delegate{Config: want.Delegate.Config, IPs: want.Delegate.IPs, Leased: true}
	}
	for i, each := range resting {
		port := Port{Interface: name, Resting: each}
		if i > 0 {
			port.Interface = fmt.Sprintf("%sd%d", name, i)
		}
		if len(port.Interface) > maxInterfaceName {
			return Attachment{}, fmt.Errorf("%s has %d interfaces, and the name %q of one is longer than %d bytes: choose a shorter name",
				one.Address, len(resting), port.Interface, maxInterfaceName)
		}
		a.Ports = append(a.Ports, port)
	}
	return a, nil
}

// result writes down what the pod has got.
func (a Attachment) result(netns string) (json.RawMessage, error) {
	result := cni.Attachment{
		Version: a.CNIVersion, Sandbox: netns, PCIID: a.Address.String(), Addresses: a.AllAddresses(), Routes: a.AllRoutes(), DNS: a.dns(),
	}
	for _, port := range a.Ports {
		result.Interfaces = append(result.Interfaces, cni.Interface{Name: port.Interface, MAC: port.MAC.String(), MTU: port.MTU})
	}
	return result.Result()
}
