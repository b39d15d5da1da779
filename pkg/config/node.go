package config

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Node is a valid configuration of a node.
type Node struct {
	// Source is the name of the file that was read; empty for Default, so also when there was no file.
	Source string
	// Providers are the PFs that are offered. Empty exactly when OfferAll is set.
	Providers []Provider
	// OfferAll offers every PF that has VFs.
	OfferAll bool
	// Networks are in the order of the file; there is at least one.
	Networks []Network
	// Hugepages is where the host has a hugetlbfs mounted, of which containers with vfio devices get a folder of their own
	// at the same place; empty gives them none.
	Hugepages string
	// Pack chooses, of the PFs that will do, the one with the fewest VFs left; without it, it is the one with the most.
	Pack bool
	// Taint has the node bear a taint in Kubernetes while the daemon cannot serve pods.
	Taint bool
}

// Network finds a network by its name.
func (n *Node) Network(name string) (*Network, bool) {
	for i := range n.Networks {
		if n.Networks[i].Name == name {
			return &n.Networks[i], true
		}
	}
	return nil, false
}

// Traits are all that the config names: known, whether or not a PF has them.
func (n *Node) Traits() []string {
	var traits []string
	for i := range n.Providers {
		traits = append(traits, n.Providers[i].Traits...)
	}
	for i := range n.Networks {
		network := &n.Networks[i]
		traits = slices.Concat(traits, network.Required, network.Forbidden, slices.Concat(network.AnyOf...))
	}
	slices.Sort(traits)
	return slices.Compact(traits)
}

// Provider is a PF whose VFs are offered. Exactly one of PF and Address names it.
type Provider struct {
	// PF is the name of the PF's interface; empty when Address names the PF.
	PF string
	// Address is the PF's PCI address; zero when PF names it.
	Address vf.PCIAddress
	// NumVFs is how many VFs are created when the PF has none, 0 to 256; 0 creates none.
	NumVFs int
	// VFs are the numbers of the VFs that are offered; nil offers all.
	VFs IDSet
	// Reserved is how many of the offered VFs are kept back.
	Reserved int
	// Traits describe the PF in the names of OpenStack placement. None of them is of a kind that the node finds by itself.
	Traits []string
	// Bandwidth is what networks' rates draw on.
	Bandwidth Bandwidth
	// Driver is the one that free VFs rest in, of vfio or uio (dpdk.IsVFIO, dpdk.IsUIO); empty is the kernel's own network
	// driver.
	Driver string
	// AllowNoIOMMU gives VFs to vfio where no IOMMU keeps them from the machine's memory.
	AllowNoIOMMU bool
	// VFToken is the UUID, in lower case, that the application sets which drives the PF through vfio-pci; whoever opens a
	// VF of such a PF must show it. Empty is none.
	VFToken string
}

// Bandwidth is what the admin declares of a PF's link, in Mbit/s, each up to 10,000,000; 0 is not declared, and then
// nothing is counted.
type Bandwidth struct {
	// Egress is what the VFs may send. Each draws its network's minimum rate on it, or without one the maximum.
	Egress int
	// Ingress is what they may receive. The kernel has no such rate of a VF, so no network draws on it.
	Ingress int
}

// Name is how the file names the PF: by interface or by PCI address.
func (p *Provider) Name() string {
	if p.PF != "" {
		return p.PF
	}
	return p.Address.String()
}

// The devices that a network can give.
const (
	DeviceNetdev = "netdev"
	DeviceVFIO   = "vfio"
)

// Network is what pods name: which VFs will do, and what is done to them.
type Network struct {
	// Name is unique among the networks, also after EnvName.
	Name string
	// Namespaces are patterns such as team-* for who may use the network; empty admits every namespace.
	Namespaces []string
	// ResourceName is another device plugin's resource, whose devices are this network's VFs; empty is the daemon's own, which
	// Resource names.
	ResourceName string
	// RequireResource refuses pods that name the network and whose containers do not ask for its resource.
	RequireResource bool
	// MaxPerNamespace is how many VFs of the network the pods of one namespace may have on this node at a time, 1 to 4096;
	// with WholePF, how many PFs. 0 is no limit.
	MaxPerNamespace int
	// Device is DeviceNetdev or DeviceVFIO.
	Device string
	// RDMA gives the RDMA device of a netdev, too, and is never set with DeviceVFIO; VhostNet gives /dev/vhost-net and /dev/net/tun.
	RDMA, VhostNet bool
	// WholePF gives the entry's PF itself, not one of its VFs. Settings are then the defaults, and mean nothing.
	WholePF bool
	// Required and Forbidden are traits that a PF must and must not have.
	Required, Forbidden []string
	// AnyOf holds sets of traits; of each set a PF must have at least one.
	AnyOf [][]string
	// Settings are complete but for the MAC, which is the pod's or the VF's own.
	Settings vf.Settings
	// MTU is in bytes, 68 to 65535; 0 leaves that of the VF.
	MTU int
	// AllowMAC and AllowIPs let a pod choose its MAC and its IPs.
	AllowMAC, AllowIPs bool
	// MACPrefix is what a pod's MAC must begin with, 1 to 5 bytes; nil is no limit.
	MACPrefix []byte
	// Subnets are what a pod's IPs must lie in, in masked form; nil is no limit.
	Subnets []netip.Prefix
	// Routes are added in the pod, in addition to those of IPAM.
	Routes []Route
	// IPAM gives addresses that the file itself names, and Delegate has a plugin give them. At most one of them is not
	// nil; without both, the network is left at layer 2.
	IPAM     *StaticIPAM
	Delegate *DelegatedIPAM
	// CNIVersion is that of the reported result: 0.3.1, 0.4.0, 1.0.0 or 1.1.0.
	CNIVersion string
}

// Route is a route in the pod.
type Route struct {
	// Dst is in masked form.
	Dst netip.Prefix
	// GW is of Dst's family; the zero Addr reaches Dst on the link.
	GW netip.Addr
}

// StaticIPAM is the configuration of CNI's ipam type "static":
// https://www.cni.dev/plugins/current/ipam/static/
type StaticIPAM struct {
	Addresses []Address
	Routes    []Route
	DNS       DNS
}

// DelegatedIPAM is the configuration of a CNI IPAM plugin, which the plugin alone understands.
type DelegatedIPAM struct {
	// Type is the plugin's file name; cni.CheckPluginType has no complaint about it.
	Type string
	// Config is the whole ipam object, with its type, in compact JSON: the keys of each object in byte order, whole
	// numbers, at most 16 KiB.
	Config json.RawMessage
}

// Address is an address that the network gives.
type Address struct {
	// Prefix is the address itself with the length of its network's prefix.
	Prefix netip.Prefix
	// Gateway is of the address's family; the zero Addr is none.
	Gateway netip.Addr
}

// DNS is what a CNI result says about name servers.
type DNS struct {
	// Nameservers are IP addresses.
	Nameservers []string
	// Domain is the local domain; empty is none.
	Domain string
	// Search and Options are as in resolv.conf.
	Search, Options []string
}

// Default is the configuration of a node whose admin wrote none: every PF that has VFs is offered, and the network
// "default" is a netdev without VLAN, with spoof checking, without trust, open to every namespace.
func Default() *Node {
	return &Node{OfferAll: true, Networks: []Network{{
		Name: "default", Device: DeviceNetdev, Settings: vf.DefaultSettings(), CNIVersion: defaultCNIVersion,
	}}}
}

// ResourcePrefix begins the resources that the daemon itself tells the kubelet of.
const ResourcePrefix = "sriov.nri.io/"

// GivenAnnotation begins the annotation of a container to which the kubelet gave VFs of a network, which the daemon's device
// plugin has it write; its value is their PCI addresses with commas between them. Nobody but the kubelet writes annotations
// of containers.
const GivenAnnotation = "sriov.nri.io/given."

// Resource is the extended resource that counts the network's VFs in Kubernetes.
func (n *Network) Resource() string {
	if n.ResourceName != "" {
		return n.ResourceName
	}
	return ResourcePrefix + n.Name
}

// NeedsKubelet tells whether pods can have the network's VFs only when the kubelet tells which.
func (n *Network) NeedsKubelet() bool { return n.ResourceName != "" || n.RequireResource }

// EnvName is the network's name in the names of environment variables: in upper case, with _ for - and dot.
func (n *Network) EnvName() string {
	return strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(n.Name))
}

// Admits tells whether the pods of a namespace may use the network.
func (n *Network) Admits(namespace string) bool {
	if len(n.Namespaces) == 0 {
		return true
	}
	for _, pattern := range n.Namespaces {
		if matches(pattern, namespace) {
			return true
		}
	}
	return false
}

// matches compares text with a pattern in which * stands for any number of characters.
func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	rest, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		// The first place is the best one: it leaves the most for what follows.
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return strings.HasSuffix(rest, parts[last])
}
