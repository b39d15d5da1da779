package config

import "github.com/nri-sriov/nri-sriov/pkg/strictyaml"

// The raw types are the file as it is written: pointers and nil slices are what it leaves away. They hold all that the
// format knows, also what this release refuses by name.

type rawNode struct {
	APIVersion *string       `yaml:"apiVersion"`
	Kind       *string       `yaml:"kind"`
	Providers  []rawProvider `yaml:"providers"`
	Networks   []rawNetwork  `yaml:"networks"`
	Hugepages  *string       `yaml:"hugepages"`
	Placement  *string       `yaml:"placement"`
	Taint      *bool         `yaml:"taint"`
}

type rawProvider struct {
	PF           *string       `yaml:"pf"`
	PCIAddress   *string       `yaml:"pciAddress"`
	NumVFs       *int          `yaml:"numVFs"`
	VFs          *string       `yaml:"vfs"`
	Reserved     *int          `yaml:"reserved"`
	Traits       []string      `yaml:"traits"`
	Driver       *string       `yaml:"driver"`
	AllowNoIOMMU *bool         `yaml:"allowNoIOMMU"`
	VFToken      *string       `yaml:"vfToken"`
	Bandwidth    *rawBandwidth `yaml:"bandwidth"`
}

type rawBandwidth struct {
	Egress  *int `yaml:"egress"`
	Ingress *int `yaml:"ingress"`
}

type rawNetwork struct {
	Name            *string          `yaml:"name"`
	Namespaces      []string         `yaml:"namespaces"`
	MaxPerNamespace *int             `yaml:"maxPerNamespace"`
	Device          *string          `yaml:"device"`
	ResourceClass   *string          `yaml:"resourceClass"`
	ResourceName    *string          `yaml:"resourceName"`
	RequireResource *bool            `yaml:"requireResource"`
	Required        []string         `yaml:"required"`
	Forbidden       []string         `yaml:"forbidden"`
	AnyOf           [][]string       `yaml:"anyOf"`
	VLAN            *rawVLAN         `yaml:"vlan"`
	SpoofCheck      *bool            `yaml:"spoofCheck"`
	Trust           *bool            `yaml:"trust"`
	MinTxRate       *int             `yaml:"minTxRate"`
	MaxTxRate       *int             `yaml:"maxTxRate"`
	LinkState       *string          `yaml:"linkState"`
	MTU             *int             `yaml:"mtu"`
	Allow           []string         `yaml:"allow"`
	MACPrefix       *string          `yaml:"macPrefix"`
	Subnets         []string         `yaml:"subnets"`
	RDMA            *bool            `yaml:"rdma"`
	VhostNet        *bool            `yaml:"vhostNet"`
	Routes          []rawRoute       `yaml:"routes"`
	IPAM            strictyaml.Value `yaml:"ipam"` // its form depends on its type
	CNIVersion      *string          `yaml:"cniVersion"`
}

type rawVLAN struct {
	ID       *int    `yaml:"id"`
	QoS      *int    `yaml:"qos"`
	Protocol *string `yaml:"protocol"`
}

type rawRoute struct {
	Dst *string `yaml:"dst"`
	GW  *string `yaml:"gw"`
}

type rawStaticIPAM struct {
	Type      *string      `yaml:"type"`
	Addresses []rawAddress `yaml:"addresses"`
	Routes    []rawRoute   `yaml:"routes"`
	DNS       *rawDNS      `yaml:"dns"`
}

type rawAddress struct {
	Address *string `yaml:"address"`
	Gateway *string `yaml:"gateway"`
}

type rawDNS struct {
	Nameservers []string `yaml:"nameservers"`
	Domain      *string  `yaml:"domain"`
	Search      []string `yaml:"search"`
	Options     []string `yaml:"options"`
}
