package vf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Announce tells the neighbours on an interface's link who has its addresses now: a gratuitous ARP request for each
// IPv4 address, an unsolicited neighbour advertisement for each IPv6 one. Without it they go on sending to the last
// owner of an address until their entries expire.
func (n *Namespace) Announce(link Interface, addresses []netip.Addr) error {
	return n.Enter(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("announce the addresses of %s: %w", link.Name, err)
		}
		defer unix.Close(fd)
		var failed []error
		for _, address := range addresses {
			if err := unix.Sendto(fd, announcement(link.MAC, address), 0, &unix.SockaddrLinklayer{Ifindex: link.Index}); err != nil {
				failed = append(failed, fmt.Errorf("announce %s on %s: %w", address, link.Name, err))
			}
		}
		return errors.Join(failed...)
	})
}

func announcement(mac MAC, address netip.Addr) []byte {
	if address.Is6() {
		return advertisementFrame(mac, address)
	}
	return arpFrame(mac, address)
}

// arpFrame is an ARP request for one's own address (RFC 5227, section 3).
func arpFrame(mac MAC, address netip.Addr) []byte {
	ip := address.As4()
	frame := ethernet(MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac, unix.ETH_P_ARP)
	frame = append(frame, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, lengths 6 and 4, request
	frame = append(append(frame, mac[:]...), ip[:]...)
	frame = append(frame, 0, 0, 0, 0, 0, 0)
	return append(frame, ip[:]...)
}

// advertisementFrame is an unsolicited neighbour advertisement to all nodes with the override flag (RFC 4861, 7.2.6).
func advertisementFrame(mac MAC, address netip.Addr) []byte {
	source := address.As16()
	all := netip.MustParseAddr("ff02::1").As16()
	message := append([]byte{136, 0, 0, 0, 0x20, 0, 0, 0}, source[:]...)
	message = append(append(message, 2, 1), mac[:]...) // target link-layer address, one unit of 8 bytes
	binary.BigEndian.PutUint16(message[2:], checksum(source[:], all[:], message))

	frame := ethernet(MAC{0x33, 0x33, 0, 0, 0, 1}, mac, unix.ETH_P_IPV6)
	frame = append(frame, 0x60, 0, 0, 0)
	frame = binary.BigEndian.AppendUint16(frame, uint16(len(message)))
	frame = append(frame, unix.IPPROTO_ICMPV6, 255)
	frame = append(append(frame, source[:]...), all[:]...)
	return append(frame, message...)
}

func ethernet(destination, source MAC, kind uint16) []byte {
	frame := append(append(make([]byte, 0, 90), destination[:]...), source[:]...)
	return binary.BigEndian.AppendUint16(frame, kind)
}

// checksum is that of ICMPv6, over the pseudo header and the message, whose length is even (RFC 8200, 8.1).
func checksum(source, destination, message []byte) uint16 {
	sum := uint32(len(message)) + unix.IPPROTO_ICMPV6
	for _, part := range [][]byte{source, destination, message} {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
