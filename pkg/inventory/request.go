package inventory

import (
	"slices"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Group is one granular request: all of its VFs come from one provider.
type Group struct {
	// Name tells the group apart in refusals: the network's name.
	Name string
	// Count of VFs, at least 1.
	Count int
	// Whole asks for the PF itself instead.
	Whole bool
	// Userspace tells that the pod drives the VFs itself, by vfio or uio.
	Userspace bool
	// Egress is what each VF draws on the PF's bandwidth, in kilobit/s; PFs without declared bandwidth do not count it.
	Egress int
	// Required, Forbidden and AnyOf are traits.
	Required, Forbidden []string
	AnyOf               [][]string
	// Resource is the one for which the kubelet gave the pod the functions of From, of which the group takes Count. Groups
	// share them, or have nothing in common. Without From, the group takes what is free.
	Resource string
	From     []vf.PCIAddress
}

// Request is what a sandbox asks for, all of it or nothing.
type Request struct {
	Sandbox string
	Groups  []Group
	// Isolate puts every group on another PF.
	Isolate bool
	// NUMANodes are those of the pod's CPUs, where they are known; PFs there come first.
	NUMANodes []int
}

// userspace tells whether the pod is to drive any of it itself.
func (r Request) userspace() bool {
	return slices.ContainsFunc(r.Groups, func(g Group) bool { return g.Userspace })
}

// Claim is what a sandbox was promised. While it waits for VFs in release, Granted is open.
type Claim struct {
	// Granted is closed when VFs is filled.
	Granted chan struct{}
	// VFs holds the VFs per group, once granted.
	VFs [][]vf.VF

	request Request
}
