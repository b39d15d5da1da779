package vf

import (
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// DefaultRoutes tells through which interfaces (by index) the host reaches the world: the mark of a NIC that must never be
// given away. Routes with several next hops count for each of them. It lists the host's routes.
func (h *Host) DefaultRoutes() (map[int]bool, error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
	request.AddData(nl.NewRtMsg())
	messages, err := h.net.send(request)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	through := map[int]bool{}
	for _, message := range messages {
		if len(message) < unix.SizeofRtMsg {
			continue
		}
		route := nl.DeserializeRtMsg(message)
		if route.Dst_len != 0 || route.Type != unix.RTN_UNICAST {
			continue
		}
		attributes, err := attributesOf(message[unix.SizeofRtMsg:])
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for _, one := range attributes {
			switch one.kind {
			case unix.RTA_OIF:
				if len(one.value) >= 4 {
					through[int(nl.NativeEndian().Uint32(one.value))] = true
				}
			case unix.RTA_MULTIPATH:
				addHops(one.value, through)
			}
		}
	}
	return through, nil
}

// addHops reads a list of struct rtnexthop: length (2 bytes), flags, hops, interface index (4 bytes), attributes.
func addHops(hops []byte, through map[int]bool) {
	for len(hops) >= unix.SizeofRtNexthop {
		length := int(nl.NativeEndian().Uint16(hops))
		through[int(nl.NativeEndian().Uint32(hops[4:]))] = true
		if length < unix.SizeofRtNexthop || length > len(hops) {
			return
		}
		hops = hops[min(len(hops), (length+3)&^3):]
	}
}
