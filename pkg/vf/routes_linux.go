package vf

import (
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// HasDefaultRoute tells whether the host reaches the world through an interface: the mark of a NIC that must never be
// given away. Routes with several next hops count for each of them.
func (h *Host) HasDefaultRoute(index int) (bool, error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
	request.AddData(nl.NewRtMsg())
	messages, err := h.net.send(request)
	if err != nil {
		return false, fmt.Errorf("list routes: %w", err)
	}
	for _, message := range messages {
		if len(message) < unix.SizeofRtMsg {
			continue
		}
		route := nl.DeserializeRtMsg(message)
		if route.Dst_len != 0 || route.Type != unix.RTN_UNICAST {
			continue
		}
		attributes, err := nl.ParseRouteAttr(message[unix.SizeofRtMsg:])
		if err != nil {
			return false, fmt.Errorf("list routes: %w", err)
		}
		for _, one := range attributes {
			switch one.Attr.Type & nlaTypeMask {
			case unix.RTA_OIF:
				if int(nl.NativeEndian().Uint32(one.Value)) == index {
					return true, nil
				}
			case unix.RTA_MULTIPATH:
				if hopsThrough(one.Value, index) {
					return true, nil
				}
			}
		}
	}
	return false, nil
}

// hopsThrough reads a list of struct rtnexthop: length (2 bytes), flags, hops, interface index (4 bytes), attributes.
func hopsThrough(hops []byte, index int) bool {
	for len(hops) >= unix.SizeofRtNexthop {
		length := int(nl.NativeEndian().Uint16(hops))
		if int(nl.NativeEndian().Uint32(hops[4:])) == index {
			return true
		}
		if length < unix.SizeofRtNexthop || length > len(hops) {
			return false
		}
		hops = hops[min(len(hops), (length+3)&^3):]
	}
	return false
}
