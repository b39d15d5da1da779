package request

import (
	"net/netip"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// The annotations of a pod.
const (
	// NetworksAnnotation holds the list of requests. A pod without it asks for nothing.
	NetworksAnnotation = "sriov.nri.io/networks"
	// GroupPolicyAnnotation is none (default) or isolate.
	GroupPolicyAnnotation = "sriov.nri.io/group-policy"
)

// The bounds of one pod.
const (
	// MaxSize bounds the annotation, in bytes.
	MaxSize = 16 << 10
	// MaxVFs bounds the VFs of all requests together.
	MaxVFs = 32
	// MaxIPs bounds the addresses of one request.
	MaxIPs = 16
)

// Pod is what a pod asks for, in valid form.
type Pod struct {
	// Groups are in the order of the annotation; there is at least one.
	Groups []Group
	// Isolate wants each group on another PF.
	Isolate bool
}

// Group is one request: VFs of one network on one PF.
type Group struct {
	// Network is the name of a network that the node may or may not have.
	Network string
	// Name is what the pod calls the entry; empty when it does not, and the interfaces are the first free netN.
	Name string
	// Interfaces are the names in the pod, one for each VF; unique in the pod.
	Interfaces []string
	// Required and Forbidden are traits that narrow the network's own choice.
	Required, Forbidden []string
	// Containers are the names of those that get device nodes; nil is every container of the pod.
	Containers []string
	// MAC is a unicast address, or zero; only a group of one VF has it.
	MAC vf.MAC
	// IPs are addresses with the length of their prefix; only a group of one VF has them.
	IPs []netip.Prefix
}
