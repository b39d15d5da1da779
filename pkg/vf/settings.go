package vf

import (
	"encoding/json"
	"fmt"
	"net"
)

// MAC is a 48-bit Ethernet address as a comparable value. The zero value is no address; as an admin MAC it leaves the
// VF free to choose its own.
type MAC [6]byte

// ParseMAC parses a unicast 48-bit address in colon form. The zero address and multicast addresses are refused.
func ParseMAC(text string) (MAC, error) {
	hw, err := net.ParseMAC(text)
	if err != nil || len(hw) != 6 {
		return MAC{}, fmt.Errorf("%q is not a MAC address such as 02:00:00:00:00:11", text)
	}
	m := MAC(hw)
	switch {
	case m.IsZero():
		return MAC{}, fmt.Errorf("MAC address %s is all zero", m)
	case m[0]&1 != 0:
		return MAC{}, fmt.Errorf("MAC address %s is a multicast address", m)
	}
	return m, nil
}

// String writes the address in lower-case colon form.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// IsZero tells whether m is no address.
func (m MAC) IsZero() bool { return m == MAC{} }

// MarshalText writes the colon form; no address is the empty text.
func (m MAC) MarshalText() ([]byte, error) {
	if m.IsZero() {
		return nil, nil
	}
	return []byte(m.String()), nil
}

// UnmarshalText is the inverse of MarshalText.
func (m *MAC) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*m = MAC{}
		return nil
	}
	parsed, err := ParseMAC(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}

// VLANProtocol is the EtherType of a VLAN tag.
type VLANProtocol uint16

// The two protocols of IEEE 802.1Q that Linux knows.
const (
	Protocol8021Q  VLANProtocol = 0x8100
	Protocol8021AD VLANProtocol = 0x88a8
)

// String writes the protocol as `ip link` does.
func (p VLANProtocol) String() string {
	if p == Protocol8021AD {
		return "802.1ad"
	}
	return "802.1q"
}

// MarshalText writes the protocol as `ip link` does.
func (p VLANProtocol) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText parses 802.1q or 802.1ad.
func (p *VLANProtocol) UnmarshalText(text []byte) error {
	switch string(text) {
	case "802.1q":
		*p = Protocol8021Q
	case "802.1ad":
		*p = Protocol8021AD
	default:
		return fmt.Errorf("VLAN protocol %q is neither 802.1q nor 802.1ad", text)
	}
	return nil
}

// VLAN is the port VLAN that the PF puts around a VF.
type VLAN struct {
	// ID is 0 (no VLAN) to 4094.
	ID uint16 `json:"id"`
	// QoS is the priority, 0 to 7.
	QoS uint8 `json:"qos,omitempty"`
	// Protocol is the tag's EtherType.
	Protocol VLANProtocol `json:"protocol"`
}

// LinkState is the link state of a VF as the PF presents it; the values are IFLA_VF_LINK_STATE_*.
type LinkState uint32

// The link states of linux/if_link.h.
const (
	LinkAuto LinkState = iota
	LinkEnable
	LinkDisable
)

// String writes the state as `ip link` does.
func (s LinkState) String() string {
	switch s {
	case LinkEnable:
		return "enable"
	case LinkDisable:
		return "disable"
	}
	return "auto"
}

// MarshalText writes the state as `ip link` does.
func (s LinkState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText parses auto, enable or disable.
func (s *LinkState) UnmarshalText(text []byte) error {
	switch string(text) {
	case "auto":
		*s = LinkAuto
	case "enable":
		*s = LinkEnable
	case "disable":
		*s = LinkDisable
	default:
		return fmt.Errorf("link state %q is none of auto, enable, disable", text)
	}
	return nil
}

// Settings are all that a PF decides for one VF. The value is complete: a setting that nobody asked for has its
// default, so that nothing of an earlier owner is inherited.
type Settings struct {
	// MAC is the admin MAC; zero leaves the choice to the VF.
	MAC MAC `json:"mac"`
	// VLAN is the port VLAN.
	VLAN VLAN `json:"vlan"`
	// SpoofCheck drops frames whose source is not the VF's own.
	SpoofCheck bool `json:"spoofCheck"`
	// Trust lets the VF change its address and go promiscuous.
	Trust bool `json:"trust"`
	// MinTxRate and MaxTxRate are in Mbit/s; 0 is no limit.
	MinTxRate uint32 `json:"minTxRate,omitempty"`
	MaxTxRate uint32 `json:"maxTxRate,omitempty"`
	// LinkState is what the VF sees of the PF's link.
	LinkState LinkState `json:"linkState"`
}

// DefaultSettings are those of a VF that nobody owns: no admin MAC, no VLAN, spoof checking on, no trust, no rates,
// the PF's own link state.
func DefaultSettings() Settings {
	return Settings{VLAN: VLAN{Protocol: Protocol8021Q}, SpoofCheck: true}
}

// String writes the settings as one line of JSON.
func (s Settings) String() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic("settings that JSON cannot hold: " + err.Error())
	}
	return string(text)
}
