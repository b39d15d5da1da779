package vf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// AddAddress gives an interface an address. IPv6 addresses are usable at once: waiting for duplicate address
// detection would hold up the pod for a second. An address that is already there is success.
func (n *Namespace) AddAddress(ctx context.Context, index int, address netip.Prefix) error {
	err := n.change(ctx, func() *nl.NetlinkRequest { return addressMessage(index, address) })
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add address %s: %w", address, err)
	}
	return nil
}

func addressMessage(index int, address netip.Prefix) *nl.NetlinkRequest {
	request := nl.NewNetlinkRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK)
	header := nl.NewIfAddrmsg(family(address.Addr()))
	header.Index, header.Prefixlen = uint32(index), uint8(address.Bits())
	if address.Addr().Is6() {
		header.IfAddrmsg.Flags = unix.IFA_F_NODAD
	}
	request.AddData(header)
	bytes := address.Addr().AsSlice()
	request.AddData(nl.NewRtAttr(unix.IFA_LOCAL, bytes))
	request.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, bytes))
	if broadcast, ok := broadcastOf(address); ok {
		request.AddData(nl.NewRtAttr(unix.IFA_BROADCAST, broadcast.AsSlice()))
	}
	return request
}

// broadcastOf is the last address of an IPv4 subnet that has room for one.
func broadcastOf(address netip.Prefix) (netip.Addr, bool) {
	if !address.Addr().Is4() || address.Bits() > 30 {
		return netip.Addr{}, false
	}
	bytes := address.Addr().As4()
	for bit := address.Bits(); bit < 32; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(bytes), true
}

// AddRoute adds a route through an interface; without a gateway the destination is on the link. A route that is
// already there is success.
func (n *Namespace) AddRoute(ctx context.Context, index int, destination netip.Prefix, gateway netip.Addr) error {
	err := n.change(ctx, func() *nl.NetlinkRequest { return routeMessage(index, destination, gateway) })
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add route to %s: %w", destination, err)
	}
	return nil
}

func routeMessage(index int, destination netip.Prefix, gateway netip.Addr) *nl.NetlinkRequest {
	request := nl.NewNetlinkRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	header := nl.NewRtMsg()
	header.Family, header.Dst_len = uint8(family(destination.Addr())), uint8(destination.Bits())
	header.Scope = unix.RT_SCOPE_UNIVERSE
	if !gateway.IsValid() {
		header.Scope = unix.RT_SCOPE_LINK
	}
	request.AddData(header)
	if destination.Bits() > 0 {
		request.AddData(nl.NewRtAttr(unix.RTA_DST, destination.Masked().Addr().AsSlice()))
	}
	if gateway.IsValid() {
		request.AddData(nl.NewRtAttr(unix.RTA_GATEWAY, gateway.AsSlice()))
	}
	request.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(index))))
	return request
}

// Addressed tells which interfaces of the host (by index) have an address other than a link-local one: the mark of a
// netdev that the host itself uses. It lists the host's addresses.
func (h *Host) Addressed() (map[int]bool, error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETADDR, unix.NLM_F_DUMP)
	request.AddData(nl.NewIfAddrmsg(unix.AF_UNSPEC))
	messages, err := h.net.send(request)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	addressed := map[int]bool{}
	for _, message := range messages {
		if len(message) < unix.SizeofIfAddrmsg {
			continue
		}
		if header := nl.DeserializeIfAddrmsg(message); header.Scope != unix.RT_SCOPE_LINK {
			addressed[int(header.Index)] = true
		}
	}
	return addressed, nil
}

func family(address netip.Addr) int {
	if address.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
