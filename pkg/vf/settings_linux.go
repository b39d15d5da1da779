package vf

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// setting is one attribute of Settings: how it is compared, copied and written.
type setting struct {
	name  string
	equal func(a, b Settings) bool
	take  func(into *Settings, from Settings)
	write func(info *nl.RtAttr, id uint32, s Settings)
}

// settingList has the order in which the kernel (do_setvfinfo) takes the attributes of one message; it stops at the
// first that the driver refuses, and keeps those before.
var settingList = []setting{
	{
		name:  "mac",
		equal: func(a, b Settings) bool { return a.MAC == b.MAC },
		take:  func(into *Settings, from Settings) { into.MAC = from.MAC },
		write: func(info *nl.RtAttr, id uint32, s Settings) {
			message := nl.VfMac{Vf: id}
			copy(message.Mac[:], s.MAC[:])
			info.AddRtAttr(nl.IFLA_VF_MAC, message.Serialize())
		},
	},
	{
		name:  "vlan",
		equal: func(a, b Settings) bool { return a.VLAN == b.VLAN },
		take:  func(into *Settings, from Settings) { into.VLAN = from.VLAN },
		write: writeVLAN,
	},
	{
		name:  "rate",
		equal: func(a, b Settings) bool { return a.MinTxRate == b.MinTxRate && a.MaxTxRate == b.MaxTxRate },
		take:  func(into *Settings, from Settings) { into.MinTxRate, into.MaxTxRate = from.MinTxRate, from.MaxTxRate },
		write: func(info *nl.RtAttr, id uint32, s Settings) {
			info.AddRtAttr(nl.IFLA_VF_RATE, (&nl.VfRate{Vf: id, MinTxRate: s.MinTxRate, MaxTxRate: s.MaxTxRate}).Serialize())
		},
	},
	{
		name:  "spoofCheck",
		equal: func(a, b Settings) bool { return a.SpoofCheck == b.SpoofCheck },
		take:  func(into *Settings, from Settings) { into.SpoofCheck = from.SpoofCheck },
		write: func(info *nl.RtAttr, id uint32, s Settings) {
			info.AddRtAttr(nl.IFLA_VF_SPOOFCHK, (&nl.VfSpoofchk{Vf: id, Setting: toggle(s.SpoofCheck)}).Serialize())
		},
	},
	{
		name:  "linkState",
		equal: func(a, b Settings) bool { return a.LinkState == b.LinkState },
		take:  func(into *Settings, from Settings) { into.LinkState = from.LinkState },
		write: func(info *nl.RtAttr, id uint32, s Settings) {
			info.AddRtAttr(nl.IFLA_VF_LINK_STATE, (&nl.VfLinkState{Vf: id, LinkState: uint32(s.LinkState)}).Serialize())
		},
	},
	{
		name:  "trust",
		equal: func(a, b Settings) bool { return a.Trust == b.Trust },
		take:  func(into *Settings, from Settings) { into.Trust = from.Trust },
		write: func(info *nl.RtAttr, id uint32, s Settings) {
			info.AddRtAttr(nl.IFLA_VF_TRUST, (&nl.VfTrust{Vf: id, Setting: toggle(s.Trust)}).Serialize())
		},
	},
}

func toggle(on bool) uint32 {
	if on {
		return 1
	}
	return 0
}

// writeVLAN takes the plain attribute for 802.1q, which every driver knows; only 802.1ad needs the list form.
func writeVLAN(info *nl.RtAttr, id uint32, s Settings) {
	message := nl.VfVlan{Vf: id, Vlan: uint32(s.VLAN.ID), Qos: uint32(s.VLAN.QoS)}
	if s.VLAN.Protocol != Protocol8021AD {
		info.AddRtAttr(nl.IFLA_VF_VLAN, message.Serialize())
		return
	}
	list := info.AddRtAttr(nl.IFLA_VF_VLAN_LIST, nil)
	// struct ifla_vf_vlan_info: the three words, the protocol in network order, two bytes of padding.
	tagged := append(message.Serialize(), byte(s.VLAN.Protocol>>8), byte(s.VLAN.Protocol), 0, 0)
	list.AddRtAttr(nl.IFLA_VF_VLAN_INFO, tagged)
}

// Differences names the settings in which s and other differ.
func (s Settings) Differences(other Settings) []string {
	var names []string
	for _, one := range settingList {
		if !one.equal(s, other) {
			names = append(names, one.name)
		}
	}
	return names
}

// Settings reads what a PF has set for its VFs, by VF number, without their statistics. A VF that its driver does not
// report is missing from the answer.
func (h *Host) Settings(pf PF) (map[int]Settings, error) {
	settings, err := h.readSettings(pf)
	if err != nil {
		return nil, fmt.Errorf("read the VF settings of %s: %w", pf.Name(), err)
	}
	return settings, nil
}

func (h *Host) readSettings(pf PF) (map[int]Settings, error) {
	index, err := h.index(pf)
	if err != nil {
		return nil, err
	}
	request, _ := linkMessage(unix.RTM_GETLINK, index)
	request.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(nl.RTEXT_FILTER_VF|extFilterSkipStats)))
	messages, err := h.net.send(request)
	if err != nil {
		return nil, err
	}
	settings := map[int]Settings{}
	for _, message := range messages {
		if err := parseSettings(message, settings); err != nil {
			return nil, err
		}
	}
	return settings, nil
}

// Apply makes the settings of one VF what is wanted, knowing what it has: nothing is sent when both are the same, else
// one message with the attributes that differ. A driver that is busy is asked again until ctx ends (ErrBusy). When it
// refuses an attribute (ErrUnsupported and others), those before it may have been taken: the caller resets the VF.
func (h *Host) Apply(ctx context.Context, pf PF, id int, have, want Settings) error {
	names := have.Differences(want)
	if len(names) == 0 {
		return nil
	}
	index, err := h.index(pf)
	if err == nil {
		err = h.net.change(ctx, func() *nl.NetlinkRequest { return settingsMessage(index, id, have, want) })
	}
	if err != nil {
		return fmt.Errorf("set %s of VF %d of %s (driver %s): %w", h.refused(pf, id, names, want), id, pf.Name(), pf.Driver, err)
	}
	return nil
}

// refused names the setting that the driver did not take: the kernel works in the order of the list and stops there.
func (h *Host) refused(pf PF, id int, names []string, want Settings) string {
	settings, err := h.readSettings(pf)
	have, known := settings[id]
	if err == nil && known {
		for _, name := range have.Differences(want) {
			if slices.Contains(names, name) {
				return name
			}
		}
	}
	return strings.Join(names, ", ")
}

// Reset makes the settings of one VF the defaults: in one message, and when that is refused attribute by attribute and
// past errors, so that one refusal does not keep the others. Whether it is clean then, the caller reads back.
func (h *Host) Reset(ctx context.Context, pf PF, id int, have Settings) error {
	defaults := DefaultSettings()
	if h.Apply(ctx, pf, id, have, defaults) == nil {
		return nil
	}
	var failed []error
	for _, one := range settingList {
		next := have
		one.take(&next, defaults)
		if err := h.Apply(ctx, pf, id, have, next); err != nil {
			failed = append(failed, err)
			continue
		}
		have = next
	}
	return errors.Join(failed...)
}

func settingsMessage(index, id int, have, want Settings) *nl.NetlinkRequest {
	request, _ := linkMessage(unix.RTM_SETLINK, index)
	list := nl.NewRtAttr(unix.IFLA_VFINFO_LIST, nil)
	info := list.AddRtAttr(nl.IFLA_VF_INFO, nil)
	for _, one := range settingList {
		if !one.equal(have, want) {
			one.write(info, uint32(id), want)
		}
	}
	request.AddData(list)
	return request
}

func (h *Host) index(pf PF) (int, error) {
	if pf.Interface == "" {
		return 0, fmt.Errorf("PF %s has no interface in the host", pf.Address)
	}
	return h.number(path.Join(pciDevices, pf.Address.String(), "net", pf.Interface, "ifindex"))
}
