package config

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

var (
	networkName      = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$`)
	namespacePattern = regexp.MustCompile(`^[a-z0-9*]([-a-z0-9*]{0,61}[a-z0-9*])?$`)
	traitName        = regexp.MustCompile(`^[A-Z0-9_]{1,255}$`)
	interfaceName    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	resourceVendor   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	resourceKind     = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
	macPrefixForm    = regexp.MustCompile(`^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){0,4}$`)
)

// MaxInterfaceName is the length of the longest interface name, in bytes: IFNAMSIZ of linux/if.h without the zero byte.
const MaxInterfaceName = 15

// CheckNetworkName tells why a text cannot be the name of a network.
func CheckNetworkName(name string) error {
	if networkName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%s is not a network name: 1 to 63 of a-z, 0-9, - and dot, with a letter or digit at both ends",
		strictyaml.Quote(name))
}

// CheckTrait tells why a text cannot be a trait. The form is that of OpenStack placement.
func CheckTrait(name string) error {
	if traitName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%s is not a trait: 1 to 255 of A-Z, 0-9 and _", strictyaml.Quote(name))
}

// checkOwnTrait tells why an admin cannot give a PF a trait. What begins like the traits that the node finds by itself is
// refused: a PF with the wrong CUSTOM_NUMA_1 would be taken for one that is near to CPUs which it is not near to.
func checkOwnTrait(name string) error {
	if err := CheckTrait(name); err != nil {
		return err
	}
	for _, prefix := range []string{"CUSTOM_DEVICE_", "CUSTOM_DRIVER_", "CUSTOM_NUMA_", "CUSTOM_SPEED_", "CUSTOM_VENDOR_"} {
		if strings.HasPrefix(name, prefix) {
			return fmt.Errorf("%s cannot be given: the node itself finds which traits %s… a PF has; take a name that begins "+
				"otherwise, such as CUSTOM_RACK_A", strictyaml.Quote(name), prefix)
		}
	}
	return nil
}

// CheckInterfaceName tells why a text cannot be the name of a network interface. It is a little stricter than the
// kernel: a name is made of letters, digits, _, - and dot.
func CheckInterfaceName(name string) error {
	quoted := strictyaml.Quote(name)
	switch bad := strings.IndexFunc(name, notInInterfaceName); {
	case name == "":
		return errors.New("an interface name may not be empty")
	case bad >= 0:
		return fmt.Errorf("the interface name %s may not hold %s", quoted, strconv.QuoteRune([]rune(name[bad:])[0]))
	case len(name) > MaxInterfaceName:
		return fmt.Errorf("the interface name %s is %d characters long; at most %d will do",
			quoted, len(name), MaxInterfaceName)
	case !interfaceName.MatchString(name):
		return fmt.Errorf("the interface name %s must begin with a letter, a digit or _", quoted)
	}
	return nil
}

func notInInterfaceName(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.':
		return false
	}
	return true
}

func checkNamespacePattern(pattern string) error {
	if namespacePattern.MatchString(pattern) {
		return nil
	}
	return fmt.Errorf("%s is no pattern for namespaces: up to 63 of a-z, 0-9, - and *, such as team-*",
		strictyaml.Quote(pattern))
}

// checkResourceName tells why a text cannot be the name of another plugin's extended resource. The form is that of
// Kubernetes: a DNS subdomain of the vendor's, a slash, and a name. Names in kubernetes.io are no extended resources, and
// those below ResourcePrefix are the daemon's own.
func checkResourceName(name string) error {
	vendor, kind, found := strings.Cut(name, "/")
	switch {
	case !found || len(vendor) > 253 || !resourceVendor.MatchString(vendor) || !resourceKind.MatchString(kind):
		return fmt.Errorf("%s is not the name of a resource such as intel.com/sriov_netdevice", strictyaml.Quote(name))
	case vendor == "kubernetes.io" || strings.HasSuffix(vendor, ".kubernetes.io") || strings.HasPrefix(vendor, "requests."):
		return fmt.Errorf("%s cannot be the name of a device plugin's resource: Kubernetes keeps it for itself", strictyaml.Quote(name))
	case vendor+"/" == ResourcePrefix:
		return fmt.Errorf("%s is a resource of nri-sriov itself; leave resourceName away, and %s<network> is counted", strictyaml.Quote(name), ResourcePrefix)
	}
	return nil
}

func parseMACPrefix(text string) ([]byte, error) {
	if !macPrefixForm.MatchString(text) {
		return nil, fmt.Errorf("%s is not the beginning of a MAC address: 1 to 5 bytes such as 02:00:00",
			strictyaml.Quote(text))
	}
	var prefix []byte
	for part := range strings.SplitSeq(text, ":") {
		b, err := strconv.ParseUint(part, 16, 8)
		if err != nil {
			panic("the form admits a byte that is no number: " + text)
		}
		prefix = append(prefix, byte(b))
	}
	if prefix[0]&1 != 0 {
		return nil, fmt.Errorf("%s begins multicast addresses; a pod's MAC is a unicast address", text)
	}
	return prefix, nil
}

// parseSubnet parses a network: a prefix without host bits.
func parseSubnet(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil || prefix.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%s is not a network such as 192.0.2.0/24 or 2001:db8::/64",
			strictyaml.Quote(text))
	case prefix != prefix.Masked():
		return netip.Prefix{}, fmt.Errorf("%s has host bits; its network is %s", prefix, prefix.Masked())
	}
	return prefix, nil
}

func parseGateway(text string) (netip.Addr, error) {
	gw, err := netip.ParseAddr(text)
	switch {
	case err != nil || gw.Zone() != "" || gw.Is4In6():
		return netip.Addr{}, fmt.Errorf("%s is not an IP address such as 192.0.2.1", strictyaml.Quote(text))
	case gw.IsUnspecified() || gw.IsMulticast() || gw.IsLoopback() || isBroadcast(gw):
		return netip.Addr{}, fmt.Errorf("%s cannot be a gateway", gw)
	}
	return gw, nil
}

// ParseInterfaceAddress parses an address with the length of its prefix, such as 192.0.2.10/24, that an interface can
// have: no unspecified, multicast or loopback address, and in IPv4 neither a network's own nor its broadcast address.
func ParseInterfaceAddress(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%s is not an address with the length of its prefix, such as 192.0.2.10/24",
			strictyaml.Quote(text))
	}
	addr := prefix.Addr()
	kind := ""
	switch {
	case prefix.Bits() == 0:
		return netip.Prefix{}, fmt.Errorf("%s has a prefix of length 0", prefix)
	case addr.IsUnspecified():
		kind = "the unspecified address"
	case addr.IsMulticast():
		kind = "a multicast address"
	case addr.IsLoopback():
		kind = "a loopback address"
	case isBroadcast(addr) || isLastOf(prefix):
		kind = "a broadcast address"
	case addr.Is4() && prefix.Bits() < 31 && prefix == prefix.Masked():
		kind = "the address of a network"
	default:
		return prefix, nil
	}
	return netip.Prefix{}, fmt.Errorf("%s is %s; an interface cannot have it", prefix, kind)
}

func isBroadcast(addr netip.Addr) bool { return addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) }

// isLastOf tells whether an IPv4 address is the broadcast address of its network; networks of one or two addresses
// have none (RFC 3021).
func isLastOf(prefix netip.Prefix) bool {
	return prefix.Addr().Is4() && prefix.Bits() < 31 && !prefix.Contains(prefix.Addr().Next())
}

// firstTwice finds an element that is there twice.
func firstTwice(list []string) (string, bool) {
	for i, one := range list {
		if slices.Contains(list[:i], one) {
			return one, true
		}
	}
	return "", false
}
