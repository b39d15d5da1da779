package sriovcni

import (
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// NodeConfig is the file that the daemon reads, as far as a CNI config can fill it. What it says is written in the order
// of its fields.
type NodeConfig struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Providers  []Provider `json:"providers,omitempty"`
	Networks   []Network  `json:"networks"`
}

// Provider is a PF that a config named.
type Provider struct {
	PF     string   `json:"pf"`
	Traits []string `json:"traits"`
}

// Network is what one CNI config becomes. A nil or empty field is not written and has the daemon's default.
type Network struct {
	Name          string   `json:"name"`
	Namespaces    []string `json:"namespaces,omitempty"`
	Device        string   `json:"device,omitempty"`
	ResourceClass string   `json:"resourceClass,omitempty"`
	ResourceName  string   `json:"resourceName,omitempty"`
	Required      []string `json:"required,omitempty"`
	VLAN          *VLAN    `json:"vlan,omitempty"`
	SpoofCheck    *bool    `json:"spoofCheck,omitempty"`
	Trust         *bool    `json:"trust,omitempty"`
	MinTxRate     *int     `json:"minTxRate,omitempty"`
	MaxTxRate     *int     `json:"maxTxRate,omitempty"`
	LinkState     string   `json:"linkState,omitempty"`
	MTU           int      `json:"mtu,omitempty"`
	Allow         []string `json:"allow,omitempty"`
	MACPrefix     string   `json:"macPrefix,omitempty"`
	Subnets       []string `json:"subnets,omitempty"`
	Routes        []Route  `json:"routes,omitempty"`
	// IPAM is the plugin's own config, passed on.
	IPAM       *value `json:"ipam,omitempty"`
	CNIVersion string `json:"cniVersion,omitempty"`
}

// VLAN is the tag of a VF's packets.
type VLAN struct {
	ID       int    `json:"id"`
	QoS      *int   `json:"qos,omitempty"`
	Protocol string `json:"protocol,omitempty"`
}

// Route is a route in the pod.
type Route struct {
	Dst string `json:"dst"`
	GW  string `json:"gw,omitempty"`
}

// network says in the daemon's words what was read. The name and the PF's trait are given later, as they depend on the
// other networks.
func (r *reading) network() Network {
	c := &r.conf
	n := Network{
		Subnets: c.subnets, Routes: c.routes, MTU: c.mtu, CNIVersion: c.cniVersion,
		ResourceName: r.source.resourceName,
	}
	if r.source.namespace != "" {
		n.Namespaces = []string{r.source.namespace}
	}
	if c.dpdk {
		n.Device = config.DeviceVFIO
	}
	if c.pfOnly {
		n.ResourceClass = "SRIOV_NET_PF"
		r.leftOfPF()
	} else {
		r.settings(&n)
	}
	if c.capableOfMAC || !c.mac.IsZero() {
		n.Allow = append(n.Allow, "mac")
	}
	if !c.capableOfMAC && !c.mac.IsZero() {
		n.MACPrefix = prefixOf(c.mac)
	}
	if c.capableOfIPs || len(c.ips) > 0 {
		n.Allow = append(n.Allow, "ips")
	}
	n.IPAM = r.addresses()
	r.ambiguous()
	return n
}

func (r *reading) settings(n *Network) {
	c := &r.conf
	if c.vlan != nil {
		n.VLAN = &VLAN{ID: *c.vlan, QoS: c.vlanQoS, Protocol: c.vlanProtocol}
	}
	n.SpoofCheck, n.Trust = c.spoofCheck, c.trust
	n.MinTxRate, n.MaxTxRate = c.minTxRate, c.maxTxRate
	n.LinkState = c.linkState
}

// prefixOf narrows what pods may choose to the neighbours of the one address that a config has: the daemon knows no
// whole address here.
func prefixOf(mac vf.MAC) string {
	all := mac.String()
	return all[:strings.LastIndexByte(all, ':')]
}

// addresses is the ipam that the plugin ran: none with l2enable, and none in Intel's and xftony's DPDK mode.
func (r *reading) addresses() *value {
	c := &r.conf
	if c.ipam.kind != object {
		return nil
	}
	f := field{key: "ipam", line: c.ipamLine}
	switch {
	case c.l2Only:
		r.lost(f, "with l2enable the plugin did not run it; add it to the network if the pods need addresses")
	case c.dpdk:
		r.lost(f, "in DPDK mode the plugin did not run it; add it to the network if the pods need addresses")
	default:
		return &c.ipam
	}
	return nil
}
