package vf

import (
	"fmt"
	"regexp"
	"strconv"
)

// PCIAddress is the address of a PCI function, written as Linux does: domain:bus:device.function, in hexadecimal.
// VFs and PFs are known by it; names of interfaces change, addresses do not. The zero value is no address.
type PCIAddress struct {
	// Domain is the PCI segment; more than 16 bits occur behind VMD controllers.
	Domain uint32
	// Bus, Device (5 bits) and Function (3 bits) are the routing id.
	Bus, Device, Function uint8
}

var pciAddressForm = regexp.MustCompile(`^([0-9a-fA-F]{4,8}):([0-9a-fA-F]{2}):([01][0-9a-fA-F])\.([0-7])$`)

// ParsePCIAddress parses the full form, such as "0000:01:10.3".
func ParsePCIAddress(text string) (PCIAddress, error) {
	m := pciAddressForm.FindStringSubmatch(text)
	if m == nil {
		return PCIAddress{}, fmt.Errorf("%q is not a PCI address such as 0000:01:00.0", text)
	}
	part := func(i, bits int) uint64 {
		n, err := strconv.ParseUint(m[i], 16, bits)
		if err != nil {
			panic("the form admits a part that is no number: " + text)
		}
		return n
	}
	return PCIAddress{
		Domain: uint32(part(1, 32)), Bus: uint8(part(2, 8)), Device: uint8(part(3, 8)), Function: uint8(part(4, 8)),
	}, nil
}

// String writes the address as sysfs names the device.
func (a PCIAddress) String() string {
	return fmt.Sprintf("%04x:%02x:%02x.%d", a.Domain, a.Bus, a.Device, a.Function)
}

// IsZero tells whether a is no address.
func (a PCIAddress) IsZero() bool { return a == PCIAddress{} }

// MarshalText writes the address for JSON and YAML; no address is the empty text.
func (a PCIAddress) MarshalText() ([]byte, error) {
	if a.IsZero() {
		return nil, nil
	}
	return []byte(a.String()), nil
}

// UnmarshalText is the inverse of MarshalText.
func (a *PCIAddress) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*a = PCIAddress{}
		return nil
	}
	parsed, err := ParsePCIAddress(string(text))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}

// Compare orders addresses by domain, bus, device, function: -1, 0 or 1.
func (a PCIAddress) Compare(b PCIAddress) int {
	switch x, y := a.number(), b.number(); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func (a PCIAddress) number() uint64 {
	return uint64(a.Domain)<<16 | uint64(a.Bus)<<8 | uint64(a.Device)<<3 | uint64(a.Function)
}
