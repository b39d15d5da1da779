package vf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"strings"

	"golang.org/x/sys/unix"
)

// deviceNews tells whether a device event is of a PCI function. The form is that of lib/kobject_uevent.c: "action@path",
// then "KEY=value" for each variable, all ended by zero bytes. All actions count: add, remove, bind, unbind, and change,
// which a PF that gets VFs tells of. That a function is bound or unbound is no news while it is busy.
func deviceNews(message []byte, busy func(function string) bool) bool {
	first, variables, _ := bytes.Cut(message, []byte{0})
	action, _, ok := bytes.Cut(first, []byte("@"))
	if !ok {
		return false
	}
	pci, function := false, ""
	for one := range bytes.SplitSeq(variables, []byte{0}) {
		if subsystem, ok := bytes.CutPrefix(one, []byte("SUBSYSTEM=")); ok {
			pci = string(subsystem) == "pci"
		}
		if slot, ok := bytes.CutPrefix(one, []byte("PCI_SLOT_NAME=")); ok {
			function = string(slot)
		}
	}
	binding := string(action) == "bind" || string(action) == "unbind"
	return pci && !(binding && busy(function))
}

// sightings is what the kernel told last of the interfaces that matter.
type sightings struct {
	// ours picks them; busy are functions whose interfaces are no news now.
	ours func(linkState) bool
	busy func(function string) bool
	// returned is told of a busy function whose interface has come into this namespace; nil tells nobody.
	returned func(function string)
	// links are what is known of them and of those that stand upon them, by index; addresses are those that they have.
	links     map[int]string
	addresses map[heldAddress]bool
}

// heldAddress is one of an interface; its bytes are those of the kernel.
type heldAddress struct {
	index int
	bytes string
}

func (s *sightings) forget() {
	s.links, s.addresses = map[int]string{}, map[heldAddress]bool{}
}

// news takes in what a socket has received, struct nlmsghdr before each message, and tells whether there is news in it.
// What makes no sense counts as news.
func (s *sightings) news(data []byte) bool {
	news := false
	for len(data) >= unix.SizeofNlMsghdr {
		length := int(binary.NativeEndian.Uint32(data))
		if length < unix.SizeofNlMsghdr || length > len(data) {
			return true
		}
		kind := binary.NativeEndian.Uint16(data[4:])
		news = s.message(kind, data[unix.SizeofNlMsghdr:length]) || news
		data = data[min(len(data), (length+3)&^3):]
	}
	return news
}

// message takes one message in.
func (s *sightings) message(kind uint16, body []byte) (news bool) {
	switch kind {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		link, err := parseLinkState(body)
		return err != nil || s.link(link, kind == unix.RTM_DELLINK)
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		one, linkLocal, err := parseAddress(body)
		return err != nil || !linkLocal && s.address(one, kind == unix.RTM_DELADDR)
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		// struct rtmsg: family, length of the destination, …, and in the eighth byte the type.
		return len(body) < unix.SizeofRtMsg || body[1] == 0 && body[7] == unix.RTN_UNICAST
	}
	return false
}

func (s *sightings) link(link linkState, gone bool) (news bool) {
	before, known := s.links[link.index]
	if _, upon := s.links[link.lower]; gone || !upon && !s.ours(link) {
		if known {
			delete(s.links, link.index)
			maps.DeleteFunc(s.addresses, func(one heldAddress, _ bool) bool { return one.index == link.index })
		}
		return known && !s.busy(link.parent)
	}
	now := link.String()
	s.links[link.index] = now
	if known && now == before {
		return false
	}
	busy := s.busy(link.parent)
	if busy && !known && s.returned != nil {
		s.returned(link.parent)
	}
	return !busy
}

func (s *sightings) address(one heldAddress, gone bool) (news bool) {
	if _, known := s.links[one.index]; !known {
		return false
	}
	news = s.addresses[one] == gone
	if gone {
		delete(s.addresses, one)
	} else {
		s.addresses[one] = true
	}
	return news
}

// linkState is what a link message tells that means something to the inventory.
type linkState struct {
	index int
	name  string
	// parentBus and parent are those of the device behind the interface; kind is that of a virtual interface.
	parentBus, parent, kind string
	flags                   uint32
	// master is the index of the bridge or bond it is a port of, lower of the interface it stands upon in the same
	// namespace; 0 is none.
	master, lower int
	promiscuity   uint32
	xdp           uint8
}

// String is what must be equal for nothing to have changed.
func (l linkState) String() string {
	return fmt.Sprintf("%s up %t running %t master %d upon %d promiscuity %d xdp %d", l.name, l.flags&unix.IFF_UP != 0,
		l.flags&unix.IFF_RUNNING != 0, l.master, l.lower, l.promiscuity, l.xdp)
}

// ofFunction tells whether the interface is one of a PCI function. Kernels before 5.14 do not tell; for them it is each
// that is not virtual.
func (l linkState) ofFunction() bool {
	if l.parentBus != "" {
		return l.parentBus == "pci"
	}
	return l.kind == "" && l.flags&unix.IFF_LOOPBACK == 0
}

// parseLinkState reads a link message: struct ifinfomsg (family, type, index, flags), then attributes IFLA_* of
// linux/if_link.h.
func parseLinkState(body []byte) (linkState, error) {
	if len(body) < unix.SizeofIfInfomsg {
		return linkState{}, errors.New("short link message")
	}
	link := linkState{index: int(int32(binary.NativeEndian.Uint32(body[4:]))), flags: binary.NativeEndian.Uint32(body[8:])}
	attributes, err := attributesOf(body[unix.SizeofIfInfomsg:])
	if err != nil {
		return linkState{}, fmt.Errorf("parse link message: %w", err)
	}
	elsewhere := false
	for _, one := range attributes {
		switch one.kind {
		case unix.IFLA_IFNAME:
			link.name = attributeText(one)
		case unix.IFLA_PARENT_DEV_BUS_NAME:
			link.parentBus = attributeText(one)
		case unix.IFLA_PARENT_DEV_NAME:
			link.parent = attributeText(one)
		case unix.IFLA_MASTER:
			link.master = int(attributeWord(one))
		case unix.IFLA_LINK:
			link.lower = int(attributeWord(one))
		case unix.IFLA_LINK_NETNSID:
			elsewhere = true
		case unix.IFLA_PROMISCUITY:
			link.promiscuity = attributeWord(one)
		case unix.IFLA_LINKINFO:
			if kind, ok := nested(one, unix.IFLA_INFO_KIND); ok {
				link.kind = attributeText(kind)
			}
		case unix.IFLA_XDP:
			if attached, ok := nested(one, unix.IFLA_XDP_ATTACHED); ok && len(attached.value) > 0 {
				link.xdp = attached.value[0]
			}
		}
	}
	if elsewhere || link.lower == link.index || paired(link.kind) {
		link.lower = 0
	}
	return link, nil
}

// parseAddress reads an address message: struct ifaddrmsg (family, prefix length, flags, scope, index), then attributes
// IFA_* of linux/if_addr.h.
func parseAddress(body []byte) (one heldAddress, linkLocal bool, err error) {
	if len(body) < unix.SizeofIfAddrmsg {
		return heldAddress{}, false, errors.New("short address message")
	}
	attributes, err := attributesOf(body[unix.SizeofIfAddrmsg:])
	if err != nil {
		return heldAddress{}, false, fmt.Errorf("parse address message: %w", err)
	}
	text := []byte{body[1]}
	for _, each := range attributes {
		if each.kind == unix.IFA_LOCAL || each.kind == unix.IFA_ADDRESS {
			text = append(append(text, byte(each.kind)), each.value...)
		}
	}
	return heldAddress{int(int32(binary.NativeEndian.Uint32(body[4:]))), string(text)}, body[3] == unix.RT_SCOPE_LINK, nil
}

// nested finds an attribute in the list that another one holds.
func nested(in attribute, kind int) (attribute, bool) {
	list, err := attributesOf(in.value)
	if err != nil {
		return attribute{}, false
	}
	for _, one := range list {
		if one.kind == kind {
			return one, true
		}
	}
	return attribute{}, false
}

// attributeText reads an attribute as the text before its closing zero byte.
func attributeText(one attribute) string {
	text, _, _ := strings.Cut(string(one.value), "\x00")
	return text
}

// attributeWord reads an attribute as one 32-bit word; one that is too short is 0.
func attributeWord(one attribute) uint32 {
	if len(one.value) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(one.value)
}
