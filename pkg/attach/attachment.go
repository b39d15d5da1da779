package attach

import (
	"encoding/json"
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

// Want is one granted entry of a pod's request: VFs of one PF, and what is to be made of them.
type Want struct {
	Network string
	// Interfaces are the names in the pod, one per VF.
	Interfaces []string
	// Containers that may use the VFs; nil is all.
	Containers []string
	Settings   vf.Settings
	// MTU is in bytes; 0 leaves the VF's own.
	MTU        int
	Addresses  []cni.Address
	Routes     []cni.Route
	DNS        cni.DNS
	CNIVersion string
	// Required, Forbidden and AnyOf are the traits of the PF.
	Required, Forbidden []string
	AnyOf               [][]string
}

func (w Want) group() inventory.Group {
	return inventory.Group{
		Name: w.Network, Count: len(w.Interfaces), Required: w.Required, Forbidden: w.Forbidden, AnyOf: w.AnyOf,
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

// Attachment is one VF in one sandbox, with all that is needed to finish it or to undo it. It is journaled.
type Attachment struct {
	Network    string   `json:"network"`
	Interface  string   `json:"interface"`
	Containers []string `json:"containers,omitempty"`

	Address  vf.PCIAddress `json:"pciAddress"`
	PF       vf.PCIAddress `json:"pfAddress"`
	PFName   string        `json:"pf"`
	VFID     int           `json:"vfID"`
	Driver   string        `json:"driver"`
	NUMANode int           `json:"numaNode"`
	// IOMMUGroup is -1 when no IOMMU is on.
	IOMMUGroup int     `json:"iommuGroup"`
	Resting    Resting `json:"resting"`

	Settings   vf.Settings   `json:"settings"`
	MTU        int           `json:"mtu,omitempty"`
	Addresses  []cni.Address `json:"addresses,omitempty"`
	Routes     []cni.Route   `json:"routes,omitempty"`
	DNS        cni.DNS       `json:"dns,omitzero"`
	CNIVersion string        `json:"cniVersion"`

	State State `json:"state"`
	// Error says why the state is what it is, where something went wrong.
	Error string `json:"error,omitempty"`
	// MAC and EffectiveMTU are those that the pod sees.
	MAC          vf.MAC `json:"mac"`
	EffectiveMTU int    `json:"effectiveMTU,omitempty"`
	// Result is the CNI result, once attached.
	Result json.RawMessage `json:"result,omitempty"`
}

// UsableBy tells whether a container of the pod may use the attachment.
func (a Attachment) UsableBy(container string) bool {
	return a.Containers == nil || slices.Contains(a.Containers, container)
}

func newAttachment(want Want, name string, pf vf.PF, one vf.VF, resting Resting) Attachment {
	return Attachment{
		Network: want.Network, Interface: name, Containers: want.Containers,
		Address: one.Address, PF: pf.Address, PFName: pf.Name(), VFID: one.ID, Driver: one.Driver,
		NUMANode: one.NUMANode, IOMMUGroup: one.IOMMUGroup, Resting: resting,
		Settings: want.Settings, MTU: want.MTU, Addresses: want.Addresses, Routes: want.Routes, DNS: want.DNS,
		CNIVersion: want.CNIVersion, State: Attaching,
	}
}

// result writes down what the pod has got.
func (a Attachment) result(netns string) (json.RawMessage, error) {
	return cni.Attachment{
		Version: a.CNIVersion, Interface: a.Interface, MAC: a.MAC.String(), MTU: a.EffectiveMTU, Sandbox: netns,
		PCIID: a.Address.String(), Addresses: a.Addresses, Routes: a.Routes, DNS: a.DNS,
	}.Result()
}
