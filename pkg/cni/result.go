package cni

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"

	"github.com/containernetworking/cni/pkg/types"
	_ "github.com/containernetworking/cni/pkg/types/040" // registers the conversion to 0.3.x and 0.4.0
	current "github.com/containernetworking/cni/pkg/types/100"
)

// Attachment is what a result tells of one VF in a sandbox.
type Attachment struct {
	// Version is the network's cniVersion: 0.3.1, 0.4.0, 1.0.0 or 1.1.0.
	Version string
	// Interfaces are the VF's in the pod; the addresses are on the first.
	Interfaces []Interface
	// Sandbox is the path of the network namespace.
	Sandbox string
	// PCIID is the VF's PCI address.
	PCIID     string
	Addresses []Address
	Routes    []Route
	DNS       DNS
}

// Interface is one interface of a VF in a pod.
type Interface struct {
	Name string
	// MAC is the effective address in colon form.
	MAC string
	// MTU is in bytes.
	MTU int
}

// Address is an address on the interface, with the gateway of its subnet where there is one.
type Address struct {
	Prefix  netip.Prefix `json:"address"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
}

// Route is a route through the interface; without a gateway the destination is on the link.
type Route struct {
	Destination netip.Prefix `json:"dst"`
	Gateway     netip.Addr   `json:"gw,omitzero"`
}

// DNS is what the network says of name resolution; nobody but the application acts on it.
type DNS struct {
	Nameservers []string `json:"nameservers,omitempty"`
	Domain      string   `json:"domain,omitempty"`
	Search      []string `json:"search,omitempty"`
	Options     []string `json:"options,omitempty"`
}

// Result writes the attachment as a CNI result of its version. Fields that the version does not have are left out.
func (a Attachment) Result() (json.RawMessage, error) {
	result := &current.Result{
		CNIVersion: current.ImplementedSpecVersion,
		DNS:        types.DNS{Nameservers: a.DNS.Nameservers, Domain: a.DNS.Domain, Search: a.DNS.Search, Options: a.DNS.Options},
	}
	for _, one := range a.Interfaces {
		written := &current.Interface{Name: one.Name, Mac: one.MAC, Sandbox: a.Sandbox}
		if a.Version == current.ImplementedSpecVersion {
			// The library would write mtu and pciID in 1.0.0 too, which does not have them.
			written.Mtu, written.PciID = one.MTU, a.PCIID
		}
		result.Interfaces = append(result.Interfaces, written)
	}
	for _, address := range a.Addresses {
		first := 0
		result.IPs = append(result.IPs, &current.IPConfig{Interface: &first, Address: ipNet(address.Prefix), Gateway: ip(address.Gateway)})
	}
	for _, route := range a.Routes {
		result.Routes = append(result.Routes, &types.Route{Dst: ipNet(route.Destination), GW: ip(route.Gateway)})
	}
	versioned, err := result.GetAsVersion(a.Version)
	if err != nil {
		return nil, fmt.Errorf("write a CNI result of version %q: %w", a.Version, err)
	}
	text, err := json.Marshal(versioned)
	if err != nil {
		return nil, fmt.Errorf("write a CNI result: %w", err)
	}
	return text, nil
}

func ipNet(prefix netip.Prefix) net.IPNet {
	return net.IPNet{IP: ip(prefix.Addr()), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
}

// ip gives no address as nil, which CNI leaves out.
func ip(address netip.Addr) net.IP {
	if !address.IsValid() {
		return nil
	}
	return net.IP(address.AsSlice())
}
