package config

import (
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

const (
	maxVLAN, maxQoS = 4094, 7
	// minMTU is the least that IPv4 works with (RFC 791).
	minMTU, maxMTU    = 68, 65535
	defaultCNIVersion = "1.1.0"
	// maxQuota is the VFs of 16 PFs, 256 each.
	maxQuota = 4096
)

func (v validation) networks(raws []rawNetwork) []Network {
	if len(raws) == 0 {
		v.Addf("networks", "no network is defined; the least is networks: [{name: default}]")
	}
	networks := make([]Network, 0, len(raws))
	seen := map[string]int{}
	for i := range raws {
		path := index("networks", i)
		network := v.network(path, &raws[i])
		first, twice := seen[network.EnvName()]
		switch {
		case network.Name == "":
		case twice && networks[first].Name == network.Name:
			v.Addf(path+".name", "%s is already networks[%d]", strictyaml.Quote(network.Name), first)
		case twice:
			v.Addf(path+".name", "%s and networks[%d] %s share the environment name %s", strictyaml.Quote(network.Name),
				first, strictyaml.Quote(networks[first].Name), network.EnvName())
		default:
			seen[network.EnvName()] = i
		}
		networks = append(networks, network)
	}
	return networks
}

func (v validation) network(path string, raw *rawNetwork) Network {
	network := Network{
		Namespaces: v.namespaces(path+".namespaces", raw.Namespaces),
		Settings:   v.settings(path, raw),
		MTU:        v.number(path+".mtu", raw.MTU, 0, minMTU, maxMTU),
		Routes:     v.routes(path+".routes", raw.Routes),
		CNIVersion: v.oneOf(path+".cniVersion", raw.CNIVersion, defaultCNIVersion, "0.3.1", "0.4.0", "1.0.0"),

		MaxPerNamespace: v.number(path+".maxPerNamespace", raw.MaxPerNamespace, 0, 1, maxQuota),
	}
	if raw.Name == nil {
		v.Addf(path, "name is missing")
	} else {
		v.check(path+".name", CheckNetworkName(*raw.Name))
		network.Name = *raw.Name
	}
	v.device(path, raw, &network)
	network.WholePF = v.wholePF(path, raw)
	v.traits(path, raw, &network)
	v.choices(path, raw, &network)
	network.IPAM, network.Delegate = v.ipam(path+".ipam", raw.IPAM, network.AllowIPs)
	return network
}

func (v validation) namespaces(path string, patterns []string) []string {
	if patterns != nil && len(patterns) == 0 {
		v.Addf(path, "the list is empty; leave it away to admit every namespace")
	}
	return v.list(path, patterns, checkNamespacePattern)
}

// device reads what a pod gets: a netdev or a device of vfio, and the device nodes beside it.
func (v validation) device(path string, raw *rawNetwork, network *Network) {
	network.Device = v.oneOf(path+".device", raw.Device, DeviceNetdev, DeviceVFIO)
	network.RDMA, network.VhostNet = orElse(raw.RDMA, false), orElse(raw.VhostNet, false)
	if network.RDMA && network.Device == DeviceVFIO {
		v.Addf(path+".rdma", "a device that is bound to vfio has no RDMA device; rdma goes with device netdev")
	}
	network.RequireResource = orElse(raw.RequireResource, false)
	if raw.ResourceName != nil {
		v.check(path+".resourceName", checkResourceName(*raw.ResourceName))
		network.ResourceName = *raw.ResourceName
	}
}

// wholePF tells whether the network gives out PFs, and refuses the settings that a PF makes for its VFs only, whatever
// their value: nobody would apply them.
func (v validation) wholePF(path string, raw *rawNetwork) bool {
	if v.oneOf(path+".resourceClass", raw.ResourceClass, "SRIOV_NET_VF", "SRIOV_NET_PF") == "SRIOV_NET_VF" {
		return false
	}
	for _, setting := range []struct {
		key   string
		given bool
	}{
		{"vlan", raw.VLAN != nil},
		{"spoofCheck", raw.SpoofCheck != nil},
		{"trust", raw.Trust != nil},
		{"minTxRate", raw.MinTxRate != nil},
		{"maxTxRate", raw.MaxTxRate != nil},
		{"linkState", raw.LinkState != nil},
	} {
		if setting.given {
			v.Addf(path+"."+setting.key, "a whole PF has no %s; only a VF has (resourceClass: SRIOV_NET_VF)", setting.key)
		}
	}
	return true
}

func (v validation) traits(path string, raw *rawNetwork, network *Network) {
	network.Required = v.list(path+".required", raw.Required, CheckTrait)
	network.Forbidden = v.list(path+".forbidden", raw.Forbidden, CheckTrait)
	for i, trait := range network.Forbidden {
		if slices.Contains(network.Required, trait) {
			v.Addf(index(path+".forbidden", i), "%s is required, too", strictyaml.Quote(trait))
		}
	}
	for i, set := range raw.AnyOf {
		if len(set) == 0 {
			v.Addf(index(path+".anyOf", i), "an empty set of traits can never be met")
		}
		network.AnyOf = append(network.AnyOf, v.list(index(path+".anyOf", i), set, CheckTrait))
	}
}

func (v validation) settings(path string, raw *rawNetwork) vf.Settings {
	settings := vf.DefaultSettings()
	settings.SpoofCheck = orElse(raw.SpoofCheck, settings.SpoofCheck)
	settings.Trust = orElse(raw.Trust, settings.Trust)
	settings.MinTxRate = uint32(v.number(path+".minTxRate", raw.MinTxRate, 0, 0, math.MaxUint32))
	settings.MaxTxRate = uint32(v.number(path+".maxTxRate", raw.MaxTxRate, 0, 0, math.MaxUint32))
	if settings.MaxTxRate > 0 && settings.MinTxRate > settings.MaxTxRate {
		v.Addf(path+".minTxRate", "%d is more than maxTxRate, which is %d", settings.MinTxRate, settings.MaxTxRate)
	}
	if raw.LinkState != nil {
		v.check(path+".linkState", settings.LinkState.UnmarshalText(shortened(*raw.LinkState)))
	}
	if raw.VLAN != nil {
		settings.VLAN = v.vlan(path+".vlan", raw.VLAN)
	}
	return settings
}

func (v validation) vlan(path string, raw *rawVLAN) vf.VLAN {
	vlan := vf.VLAN{
		ID:       uint16(v.number(path+".id", raw.ID, 0, 0, maxVLAN)),
		QoS:      uint8(v.number(path+".qos", raw.QoS, 0, 0, maxQoS)),
		Protocol: vf.Protocol8021Q,
	}
	if raw.Protocol != nil {
		v.check(path+".protocol", vlan.Protocol.UnmarshalText(shortened(*raw.Protocol)))
	}
	switch {
	case raw.ID == nil:
		v.Addf(path, "id is missing; 0 is no VLAN")
	case *raw.ID == 0 && vlan.QoS != 0:
		v.Addf(path+".qos", "qos %d needs a VLAN: an id from 1 to %d", vlan.QoS, maxVLAN)
	case *raw.ID == 0 && vlan.Protocol != vf.Protocol8021Q:
		v.Addf(path+".protocol", "protocol %s needs a VLAN: an id from 1 to %d", vlan.Protocol, maxVLAN)
	}
	return vlan
}

// choices reads what a pod may choose and within which bounds.
func (v validation) choices(path string, raw *rawNetwork, network *Network) {
	v.list(path+".allow", raw.Allow, func(item string) error {
		if item != "mac" && item != "ips" {
			return fmt.Errorf("%s is nothing that a pod could choose; mac and ips are", strictyaml.Quote(item))
		}
		return nil
	})
	network.AllowMAC = slices.Contains(raw.Allow, "mac")
	network.AllowIPs = slices.Contains(raw.Allow, "ips")
	if raw.MACPrefix != nil {
		prefix, err := parseMACPrefix(*raw.MACPrefix)
		v.check(path+".macPrefix", err)
		network.MACPrefix = prefix
		if !network.AllowMAC {
			v.Addf(path+".macPrefix", `macPrefix bounds a choice that no pod has; add "mac" to allow`)
		}
	}
	if raw.Subnets == nil {
		return
	}
	switch {
	case len(raw.Subnets) == 0:
		v.Addf(path+".subnets", "the list is empty; leave it away for no bounds")
	case !network.AllowIPs:
		v.Addf(path+".subnets", `subnets bound a choice that no pod has; add "ips" to allow`)
	}
	v.list(path+".subnets", raw.Subnets, func(text string) error {
		subnet, err := parseSubnet(text)
		network.Subnets = append(network.Subnets, subnet)
		return err
	})
}

func (v validation) routes(path string, raws []rawRoute) []Route {
	var routes []Route
	seen := map[netip.Prefix]int{}
	for i, raw := range raws {
		path := index(path, i)
		if raw.Dst == nil {
			v.Addf(path, "dst is missing")
			continue
		}
		dst, err := parseSubnet(*raw.Dst)
		v.check(path+".dst", err)
		route := Route{Dst: dst}
		if raw.GW != nil {
			route.GW = v.gateway(path+".gw", *raw.GW, dst)
		}
		if first, twice := seen[dst]; twice && err == nil {
			v.Addf(path+".dst", "%s is already the destination of route %d", dst, first+1)
		}
		seen[dst] = i
		routes = append(routes, route)
	}
	return routes
}

// gateway parses the gateway of a route to, or an address in, a prefix; an invalid prefix was reported before.
func (v validation) gateway(path, text string, prefix netip.Prefix) netip.Addr {
	gw, err := parseGateway(text)
	v.check(path, err)
	if err == nil && prefix.IsValid() && gw.Is4() != prefix.Addr().Is4() {
		v.Addf(path, "%s and %s are of different families", gw, prefix)
	}
	return gw
}

// shortened keeps a text that cannot be valid from filling the message that says so.
func shortened(text string) []byte { return []byte(text[:min(len(text), 64)]) }
