package vf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

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
	attributes, err := nl.ParseRouteAttr(message[unix.SizeofIfInfomsg:])
	if err != nil {
		return fmt.Errorf("parse link message: %w", err)
	}
	for _, attribute := range attributes {
		if attribute.Attr.Type&nlaTypeMask != unix.IFLA_VFINFO_LIST {
			continue
		}
		list, err := nl.ParseRouteAttr(attribute.Value)
		if err != nil {
			return fmt.Errorf("parse VF list: %w", err)
		}
		for _, element := range list {
			if err := parseSettingsOf(element.Value, into); err != nil {
				return fmt.Errorf("parse VF: %w", err)
			}
		}
	}
	return nil
}

func parseSettingsOf(element []byte, into map[int]Settings) error {
	attributes, err := nl.ParseRouteAttr(element)
	if err != nil {
		return err
	}
	id, settings := -1, DefaultSettings()
	for _, attribute := range attributes {
		words := attributeWords(attribute)
		if len(words) < 2 {
			continue
		}
		switch attribute.Attr.Type & nlaTypeMask {
		case nl.IFLA_VF_MAC:
			id = int(words[0])
			if len(attribute.Value) >= 10 {
				settings.MAC = MAC(attribute.Value[4:10])
			}
		case nl.IFLA_VF_VLAN:
			settings.VLAN.ID = uint16(words[1])
			if len(words) > 2 {
				settings.VLAN.QoS = uint8(words[2])
			}
		case nl.IFLA_VF_VLAN_LIST:
			settings.VLAN.Protocol = listedProtocol(attribute.Value)
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
func attributeWords(attribute syscall.NetlinkRouteAttr) []uint32 {
	words := make([]uint32, 0, 4)
	for value := attribute.Value; len(value) >= 4; value = value[4:] {
		words = append(words, binary.NativeEndian.Uint32(value))
	}
	return words
}

func listedProtocol(value []byte) VLANProtocol {
	list, err := nl.DeserializeVfVlanList(value)
	if err != nil || len(list) == 0 {
		return Protocol8021Q
	}
	if VLANProtocol(list[0].VlanProto) == Protocol8021AD {
		return Protocol8021AD
	}
	return Protocol8021Q
}
