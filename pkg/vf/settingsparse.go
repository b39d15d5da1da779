package vf

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// nlaTypeMask is NLA_TYPE_MASK of linux/netlink.h: an attribute's type without its flags.
const nlaTypeMask = 0x3fff

// parseSettings adds the VFs of one RTM_NEWLINK message. A VF is known by the number that stands in its attributes:
// its place in the list is another one as soon as a driver leaves a VF out.
func parseSettings(message []byte, into map[int]Settings) error {
	if len(message) < unix.SizeofIfInfomsg {
		return errors.New("short link message")
	}
	attributes, err := attributesOf(message[unix.SizeofIfInfomsg:])
	if err != nil {
		return fmt.Errorf("parse link message: %w", err)
	}
	for _, attribute := range attributes {
		if attribute.kind != unix.IFLA_VFINFO_LIST {
			continue
		}
		list, err := attributesOf(attribute.value)
		if err != nil {
			return fmt.Errorf("parse VF list: %w", err)
		}
		for _, element := range list {
			if err := parseSettingsOf(element.value, into); err != nil {
				return fmt.Errorf("parse VF: %w", err)
			}
		}
	}
	return nil
}

func parseSettingsOf(element []byte, into map[int]Settings) error {
	attributes, err := attributesOf(element)
	if err != nil {
		return err
	}
	id, settings := -1, DefaultSettings()
	for _, attribute := range attributes {
		words := attributeWords(attribute)
		if len(words) < 2 {
			continue
		}
		switch attribute.kind {
		case nl.IFLA_VF_MAC:
			id = int(words[0])
			if len(attribute.value) >= 10 {
				settings.MAC = MAC(attribute.value[4:10])
			}
		case nl.IFLA_VF_VLAN:
			settings.VLAN.ID = uint16(words[1])
			if len(words) > 2 {
				settings.VLAN.QoS = uint8(words[2])
			}
		case nl.IFLA_VF_VLAN_LIST:
			settings.VLAN.Protocol = listedProtocol(attribute.value)
		case nl.IFLA_VF_SPOOFCHK:
			// All ones is "the driver does not know", which cannot differ from the default.
			settings.SpoofCheck = words[1] != 0
		case nl.IFLA_VF_TRUST:
			settings.Trust = words[1] == 1
		case nl.IFLA_VF_LINK_STATE:
			settings.LinkState = LinkState(words[1])
		case nl.IFLA_VF_RATE:
			if len(words) > 2 {
				settings.MinTxRate, settings.MaxTxRate = words[1], words[2]
			}
		}
	}
	if id < 0 {
		return errors.New("no number")
	}
	if settings.VLAN.ID == 0 {
		settings.VLAN.Protocol = Protocol8021Q
	}
	into[id] = settings
	return nil
}

// attributeWords reads an attribute as the 32-bit words that all VF attributes but the MAC are made of.
func attributeWords(attribute attribute) []uint32 {
	words := make([]uint32, 0, 4)
	for value := attribute.value; len(value) >= 4; value = value[4:] {
		words = append(words, binary.NativeEndian.Uint32(value))
	}
	return words
}

// listedProtocol reads the first struct ifla_vf_vlan_info of a list: three words, then the protocol in network order.
func listedProtocol(value []byte) VLANProtocol {
	list, err := attributesOf(value)
	if err != nil || len(list) == 0 || len(list[0].value) < 14 {
		return Protocol8021Q
	}
	if VLANProtocol(binary.BigEndian.Uint16(list[0].value[12:])) == Protocol8021AD {
		return Protocol8021AD
	}
	return Protocol8021Q
}

// attribute is one netlink attribute: struct nlattr, and what it holds.
type attribute struct {
	kind  int
	value []byte
}

// attributesOf takes a list of attributes apart. (The library's function trusts the lengths in it.)
func attributesOf(data []byte) ([]attribute, error) {
	var all []attribute
	for len(data) >= unix.SizeofNlAttr {
		length := int(binary.NativeEndian.Uint16(data))
		if length < unix.SizeofNlAttr || length > len(data) {
			return nil, fmt.Errorf("an attribute of %d bytes in %d", length, len(data))
		}
		kind := int(binary.NativeEndian.Uint16(data[2:]) & nlaTypeMask)
		all = append(all, attribute{kind: kind, value: data[unix.SizeofNlAttr:length]})
		data = data[min(len(data), (length+3)&^3):]
	}
	return all, nil
}
