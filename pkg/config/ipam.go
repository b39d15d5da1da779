package config

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// ipam reads who gives addresses: the file itself (type static), or a plugin. At most one of the two is not nil.
func (v validation) ipam(path string, value strictyaml.Value, allowIPs bool) (*StaticIPAM, *DelegatedIPAM) {
	if value.Kind() == strictyaml.Absent {
		return nil, nil
	}
	// The keys of another type are not ours to judge, so the type is looked at first.
	if value.Kind() == strictyaml.Map {
		kind := value.Field("type")
		if kind.Kind() == strictyaml.Absent {
			v.Addf(path, "type is missing: static, or the file name of a CNI IPAM plugin such as host-local")
			return nil, nil
		}
		var name string
		if err := kind.Decode(&name); err != nil {
			v.Add(err)
			return nil, nil
		}
		if name != "static" {
			return nil, v.delegated(path, name, value)
		}
	}
	return v.static(path, value, allowIPs), nil
}

func (v validation) static(path string, value strictyaml.Value, allowIPs bool) *StaticIPAM {
	var raw rawStaticIPAM
	if err := value.Decode(&raw); err != nil {
		v.Add(err)
		return nil
	}
	if len(raw.Addresses) == 0 && !allowIPs {
		v.Addf(path, `addresses are missing, and pods may not choose their own; "allow" lacks "ips"`)
	}
	return &StaticIPAM{
		Addresses: v.addresses(path+".addresses", raw.Addresses),
		Routes:    v.routes(path+".routes", raw.Routes),
		DNS:       v.dns(path+".dns", raw.DNS),
	}
}

func (v validation) addresses(path string, raws []rawAddress) []Address {
	var addresses []Address
	seen := map[netip.Addr]bool{}
	for i, raw := range raws {
		path := index(path, i)
		if raw.Address == nil {
			v.Addf(path, "address is missing")
			continue
		}
		prefix, err := ParseInterfaceAddress(*raw.Address)
		v.check(path+".address", err)
		address := Address{Prefix: prefix}
		if raw.Gateway != nil {
			address.Gateway = v.gateway(path+".gateway", *raw.Gateway, prefix)
		}
		switch {
		case err != nil:
		case seen[prefix.Addr()]:
			v.Addf(path+".address", "%s is there twice", prefix.Addr())
		case address.Gateway == prefix.Addr():
			v.Addf(path+".gateway", "%s is the address itself", address.Gateway)
		}
		seen[prefix.Addr()] = true
		addresses = append(addresses, address)
	}
	return addresses
}

func (v validation) dns(path string, raw *rawDNS) DNS {
	if raw == nil {
		return DNS{}
	}
	dns := DNS{
		Nameservers: v.list(path+".nameservers", raw.Nameservers, checkNameserver),
		Search:      v.list(path+".search", raw.Search, checkDomain),
		Options:     v.list(path+".options", raw.Options, checkResolverOption),
	}
	if raw.Domain != nil {
		v.check(path+".domain", checkDomain(*raw.Domain))
		dns.Domain = *raw.Domain
	}
	return dns
}

func checkNameserver(text string) error {
	if addr, err := netip.ParseAddr(text); err != nil || addr.IsUnspecified() || addr.IsMulticast() {
		return fmt.Errorf("%s is not the IP address of a name server", strictyaml.Quote(text))
	}
	return nil
}

const domainLabel = `[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?`

var domainName = regexp.MustCompile(`^` + domainLabel + `(\.` + domainLabel + `)*\.?$`)

// checkDomain accepts the domains of resolv.conf; the length is that of RFC 1035.
func checkDomain(text string) error {
	const longest = 253
	if len(text) > longest || !domainName.MatchString(text) {
		return fmt.Errorf("%s is not a domain name", strictyaml.Quote(text))
	}
	return nil
}

func checkResolverOption(text string) error {
	if text == "" || strings.ContainsAny(text, " \t") {
		return errors.New("a resolver option is one word, such as ndots:2, not " + strictyaml.Quote(text))
	}
	return nil
}
