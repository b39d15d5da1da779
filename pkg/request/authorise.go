package request

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Granted is a request together with the network that it named and may use.
type Granted struct {
	Group
	// Network is what Group.Network names: a part of the node's configuration, which nobody changes.
	Network *config.Network
}

// Authorise decides whether the pods of a namespace may ask this of this node. It grants every group, in order, or
// none. What other pods of the namespace have already is not counted here, against the network's MaxPerNamespace. The error
// is one sentence about the first group that it refuses; it tells the pod what its own namespace may use, and nothing
// about other namespaces.
func Authorise(pod Pod, node *config.Node, namespace string) ([]Granted, error) {
	granted := make([]Granted, 0, len(pod.Groups))
	for _, group := range pod.Groups {
		network, known := node.Network(group.Network)
		var err error
		switch {
		case !known:
			err = fmt.Errorf("the node does not define it; %s", usable(node, namespace))
		case !network.Admits(namespace):
			err = fmt.Errorf("namespace %s may not use it; %s", strictyaml.Quote(namespace), usable(node, namespace))
		case network.MaxPerNamespace > 0 && pod.asks(network.Name) > network.MaxPerNamespace:
			err = fmt.Errorf("the pod asks for %d at a time; the pods of one namespace together may have %d of it on this node "+
				"(the admin's maxPerNamespace)", pod.asks(network.Name), network.MaxPerNamespace)
		case network.IPAM != nil && len(network.IPAM.Addresses) > 0 && len(group.Interfaces) > 1:
			err = fmt.Errorf("it has static addresses, which only one VF of a pod can have: count is %d", len(group.Interfaces))
		default:
			err = checkChoices(group, network)
		}
		if err != nil {
			return nil, fmt.Errorf("network %q: %w", group.Network, err)
		}
		granted = append(granted, Granted{Group: group, Network: network})
	}
	return granted, nil
}

// asks counts what the pod asks for of a network, in all its groups.
func (p Pod) asks(network string) int {
	count := 0
	for _, group := range p.Groups {
		if group.Network == network {
			count += len(group.Interfaces)
		}
	}
	return count
}

// usable lists the networks that a namespace may use.
func usable(node *config.Node, namespace string) string {
	var names []string
	for i := range node.Networks {
		if node.Networks[i].Admits(namespace) {
			names = append(names, node.Networks[i].Name)
		}
	}
	if len(names) == 0 {
		return fmt.Sprintf("no network of this node is open to namespace %s", strictyaml.Quote(namespace))
	}
	slices.Sort(names)
	return fmt.Sprintf("namespace %s may use %s", strictyaml.Quote(namespace), strings.Join(names, ", "))
}

func checkChoices(group Group, network *config.Network) error {
	if !group.MAC.IsZero() {
		if err := checkMAC(group.MAC, network); err != nil {
			return err
		}
	}
	if len(group.IPs) == 0 {
		return nil
	}
	if !network.AllowIPs {
		return errors.New(`a pod may not choose its IPs here; the admin's "allow" lacks "ips"`)
	}
	for _, ip := range group.IPs {
		if err := checkIP(ip, network.Subnets); err != nil {
			return err
		}
	}
	return nil
}

func checkMAC(mac vf.MAC, network *config.Network) error {
	if !network.AllowMAC {
		return errors.New(`a pod may not choose its MAC here; the admin's "allow" lacks "mac"`)
	}
	if prefix := network.MACPrefix; !slices.Equal(mac[:len(prefix)], prefix) {
		begin := make([]string, len(prefix))
		for i, b := range prefix {
			begin[i] = fmt.Sprintf("%02x", b)
		}
		return fmt.Errorf("MAC %s does not begin with the admin's macPrefix %s", mac, strings.Join(begin, ":"))
	}
	return nil
}

// checkIP wants the address and the whole of its prefix within a subnet: with a shorter prefix the pod would take
// more for its link than the admin gave.
func checkIP(ip netip.Prefix, subnets []netip.Prefix) error {
	if len(subnets) == 0 {
		return nil
	}
	names := make([]string, len(subnets))
	var around netip.Prefix
	for i, subnet := range subnets {
		if subnet.Contains(ip.Addr()) {
			if ip.Bits() >= subnet.Bits() {
				return nil
			}
			around = subnet
		}
		names[i] = subnet.String()
	}
	if around.IsValid() {
		return fmt.Errorf("IP %s reaches beyond the admin's subnet %s; its prefix may not be shorter than /%d",
			ip, around, around.Bits())
	}
	return fmt.Errorf("IP %s lies in none of the admin's subnets: %s", ip, strings.Join(names, ", "))
}
