package cni

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types040 "github.com/containernetworking/cni/pkg/types/040"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"
)

// What a lease may hold at most: addresses, routes, entries of each list of the DNS part, and bytes of such an entry.
const (
	maxAddresses = 32
	maxRoutes    = 256
	maxDNS       = 32
	maxDNSText   = 255
)

// parseLease reads a result of any of the versions; one that does not tell its version has that of the call. What the
// plugin says of interfaces is not read: the interface is the caller's. The error is one sentence.
func parseLease(version string, output []byte) (Lease, error) {
	result, err := parseResult(version, output)
	if err != nil {
		return Lease{}, err
	}
	var lease Lease
	if lease.Addresses, err = leasedAddresses(result.IPs); err != nil {
		return Lease{}, err
	}
	if lease.Routes, err = leasedRoutes(result.Routes, lease.Addresses); err != nil {
		return Lease{}, err
	}
	if lease.DNS, err = leasedDNS(result.DNS); err != nil {
		return Lease{}, err
	}
	return lease, nil
}

// parseResult gives the parts of a result that matter here. It converts by itself: libcni's conversion does not bear
// nulls in lists.
func parseResult(version string, output []byte) (*current.Result, error) {
	if len(strings.TrimSpace(string(output))) == 0 {
		return nil, errors.New("it is empty")
	}
	parts := map[string]json.RawMessage{}
	if err := json.Unmarshal(output, &parts); err != nil || parts == nil {
		return nil, fmt.Errorf("it is no JSON object but %s", quote(oneLine(string(output))))
	}
	if told, there := parts["cniVersion"]; there {
		if err := json.Unmarshal(told, &version); err != nil {
			version = string(told)
		}
	}
	if !slices.Contains(versions, version) {
		return nil, fmt.Errorf("its CNI version %s is none of %s", quote(version), strings.Join(versions, ", "))
	}
	whole, err := json.Marshal(map[string]any{
		"cniVersion": version, "ips": parts["ips"], "routes": parts["routes"], "dns": parts["dns"],
	})
	if err != nil {
		return nil, fmt.Errorf("it is no CNI result: %w", err)
	}
	result, err := create.Create(version, whole)
	if err != nil {
		return nil, fmt.Errorf("it is no CNI result of version %s: %s", version, oneLine(err.Error()))
	}
	switch r := result.(type) {
	case *current.Result:
		return r, nil
	case *types040.Result:
		converted := &current.Result{Routes: r.Routes, DNS: r.DNS}
		for _, one := range r.IPs {
			if one == nil {
				return nil, errNull
			}
			converted.IPs = append(converted.IPs, &current.IPConfig{Address: one.Address, Gateway: one.Gateway})
		}
		return converted, nil
	}
	return nil, fmt.Errorf("it is no CNI result of version %s", version)
}

var errNull = errors.New("it has a null among its addresses or routes")

func leasedAddresses(ips []*current.IPConfig) ([]Address, error) {
	if len(ips) == 0 {
		return nil, errors.New("it has no addresses")
	}
	if len(ips) > maxAddresses {
		return nil, fmt.Errorf("it has %d addresses; at most %d will do", len(ips), maxAddresses)
	}
	var addresses []Address
	for _, one := range ips {
		if one == nil {
			return nil, errNull
		}
		prefix, err := prefixOf(one.Address)
		if err != nil {
			return nil, fmt.Errorf("one of its addresses %w", err)
		}
		switch addr := prefix.Addr(); {
		case addr.IsUnspecified() || addr.IsMulticast() || addr.IsLoopback() || prefix.Bits() == 0:
			return nil, fmt.Errorf("an interface cannot have its address %s", prefix)
		case slices.ContainsFunc(addresses, func(a Address) bool { return a.Prefix.Addr() == addr }):
			return nil, fmt.Errorf("the address %s is there twice", addr)
		}
		gateway, err := gatewayOf(one.Gateway, prefix)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, Address{Prefix: prefix, Gateway: gateway})
	}
	return addresses, nil
}

func leasedRoutes(all []*types.Route, addresses []Address) ([]Route, error) {
	if len(all) > maxRoutes {
		return nil, fmt.Errorf("it has %d routes; at most %d will do", len(all), maxRoutes)
	}
	var routes []Route
	for _, one := range all {
		if one == nil {
			return nil, errNull
		}
		destination, err := prefixOf(one.Dst)
		if err != nil {
			return nil, fmt.Errorf("the destination of one of its routes %w", err)
		}
		// Left away, these would make another route than the plugin means.
		if one.MTU != 0 || one.AdvMSS != 0 || one.Priority != 0 || one.Table != nil || one.Scope != nil {
			return nil, fmt.Errorf("its route to %s has an mtu, advmss, priority, table or scope, which are not supported", destination)
		}
		gateway, err := gatewayOf(one.GW, destination)
		if err != nil {
			return nil, err
		}
		if !gateway.IsValid() {
			gateway = defaultGateway(addresses, destination)
		}
		routes = append(routes, Route{Destination: destination.Masked(), Gateway: gateway})
	}
	return routes, nil
}

// defaultGateway is the first gateway of the destination's family.
func defaultGateway(addresses []Address, destination netip.Prefix) netip.Addr {
	for _, one := range addresses {
		if one.Gateway.IsValid() && one.Gateway.Is4() == destination.Addr().Is4() {
			return one.Gateway
		}
	}
	return netip.Addr{}
}

func leasedDNS(dns types.DNS) (DNS, error) {
	for _, list := range [][]string{dns.Nameservers, dns.Search, dns.Options, {dns.Domain}} {
		if len(list) > maxDNS {
			return DNS{}, fmt.Errorf("its DNS part has a list of %d entries; at most %d will do", len(list), maxDNS)
		}
		for _, text := range list {
			if len(text) > maxDNSText {
				return DNS{}, fmt.Errorf("its DNS part has %s, which is longer than %d bytes", quote(text), maxDNSText)
			}
		}
	}
	return DNS{Nameservers: dns.Nameservers, Domain: dns.Domain, Search: dns.Search, Options: dns.Options}, nil
}

// prefixOf converts an address with its prefix. An IPv4 address has 16 bytes in the net package, and its mask 4.
func prefixOf(n net.IPNet) (netip.Prefix, error) {
	addr, ok := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	addr = addr.Unmap()
	if !ok {
		return netip.Prefix{}, errors.New("is missing")
	}
	if bits != addr.BitLen() {
		return netip.Prefix{}, fmt.Errorf("is %s with the mask %s of another family", addr, n.Mask)
	}
	return netip.PrefixFrom(addr, ones), nil
}

// gatewayOf converts a gateway; some plugins write 0.0.0.0 for none.
func gatewayOf(gw net.IP, to netip.Prefix) (netip.Addr, error) {
	if len(gw) == 0 || gw.IsUnspecified() {
		return netip.Addr{}, nil
	}
	addr, ok := netip.AddrFromSlice(gw)
	addr = addr.Unmap()
	if !ok || addr.Is4() != to.Addr().Is4() || addr.IsMulticast() || addr.IsLoopback() {
		return netip.Addr{}, fmt.Errorf("%s cannot be the gateway of %s", quote(gw.String()), to)
	}
	return addr, nil
}
