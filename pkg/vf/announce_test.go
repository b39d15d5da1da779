package vf

import (
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var announcer = MAC{2, 0, 0, 0, 0, 0x11}

func TestFrames(t *testing.T) {
	for address, want := range map[string]string{
		// Ethernet, then ARP: request, our MAC and address, no MAC, our address again.
		"192.0.2.10": "ffffffffffff" + "020000000011" + "0806" + "0001080006040001" + "020000000011" + "c000020a" + "000000000000" + "c000020a",
		// Ethernet, IPv6 with 32 bytes of ICMPv6 and hop limit 255, advertisement with the override flag, link-layer address.
		"2001:db8::10": "333300000001" + "020000000011" + "86dd" + "60000000" + "0020" + "3aff" +
			"20010db8000000000000000000000010" + "ff020000000000000000000000000001" +
			"8800" + "22ff" + "20000000" + "20010db8000000000000000000000010" + "0201" + "020000000011",
	} {
		a := netip.MustParseAddr(address)
		frame := announcement(announcer, a)
		if a.Is6() {
			message := slices.Clone(frame[54:])
			if sum := checksum(frame[22:38], frame[38:54], message); sum != 0 {
				t.Errorf("the checksum leaves %04x", sum)
			}
			frame[56], frame[57] = 0x22, 0xff // checked above
		}
		if got := hex.EncodeToString(frame); got != want {
			t.Errorf("%s\n%s, wanted\n%s", address, got, want)
		}
	}
}

// TestAnnounce: the neighbour on the wire hears both kinds.
func TestAnnounce(t *testing.T) {
	ns, neighbour := privateNamespace(t), privateNamespace(t)
	link := veth(t, ns, "net1", "wire")
	peer, err := ns.Interface("wire")
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		ns.Change(t.Context(), peer.Index, LinkChange{Into: neighbour, Name: "net1", Up: true}),
		ns.Change(t.Context(), link.Index, LinkChange{Up: true}))
	if err != nil {
		t.Fatal(err)
	}
	var socket int
	err = neighbour.Enter(func() (err error) {
		socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_ALL)))
		return err
	})
	requireKernel(t, err, "packet sockets (CAP_NET_RAW)")
	defer unix.Close(socket)
	if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
		t.Fatal(err)
	}
	addresses := []netip.Addr{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10")}
	if err := ns.Announce(link, addresses); err != nil {
		t.Fatal(err)
	}
	wanted := map[string]bool{string(arpFrame(link.MAC, addresses[0])): true, string(advertisementFrame(link.MAC, addresses[1])): true}
	buffer := make([]byte, 2048)
	for deadline := time.Now().Add(5 * time.Second); len(wanted) > 0 && time.Now().Before(deadline); {
		n, _, err := unix.Recvfrom(socket, buffer, 0)
		if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
		delete(wanted, string(buffer[:max(0, n)]))
	}
	if len(wanted) > 0 {
		t.Errorf("%d frames were not heard", len(wanted))
	}
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

func TestDefaultRoutes(t *testing.T) {
	ns := privateNamespace(t)
	host := &Host{net: ns}
	var links []Interface
	for _, pair := range [][2]string{{"a0", "a1"}, {"b0", "b1"}, {"c0", "c1"}} {
		link := veth(t, ns, pair[0], pair[1])
		peer, err := ns.Interface(pair[1])
		if err == nil {
			err = errors.Join(ns.Change(t.Context(), link.Index, LinkChange{Up: true}), ns.Change(t.Context(), peer.Index, LinkChange{Up: true}))
		}
		if err != nil {
			t.Fatal(err)
		}
		links = append(links, link)
	}
	check := func(want ...bool) {
		t.Helper()
		routes, err := host.DefaultRoutes()
		if err != nil {
			t.Fatal(err)
		}
		for i, link := range links {
			if routes[link.Index] != want[i] {
				t.Errorf("%s: %t", link.Name, routes[link.Index])
			}
		}
	}
	if err := ns.AddRoute(t.Context(), links[0].Index, netip.MustParsePrefix("198.51.100.0/24"), netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	check(false, false, false)
	if err := ns.AddRoute(t.Context(), links[0].Index, netip.MustParsePrefix("0.0.0.0/0"), netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	check(true, false, false)
	hops := []*netlink.NexthopInfo{{LinkIndex: links[1].Index}, {LinkIndex: links[2].Index}}
	if err := handle(t, ns).RouteReplace(&netlink.Route{Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}, Scope: netlink.SCOPE_LINK, Priority: 5, MultiPath: hops}); err != nil {
		t.Fatal(err)
	}
	check(true, true, true)
}

func TestAddressed(t *testing.T) {
	ns := privateNamespace(t)
	link := veth(t, ns, "v0", "v1")
	if err := ns.AddAddress(t.Context(), link.Index, netip.MustParsePrefix("fe80::1/64")); err != nil {
		t.Fatal(err)
	}
	host := &Host{net: ns}
	if got, err := host.Addressed(); err != nil || got[link.Index] {
		t.Errorf("a link-local address counts: %v, %v", got, err)
	}
	if err := ns.AddAddress(t.Context(), link.Index, netip.MustParsePrefix("192.0.2.1/24")); err != nil {
		t.Fatal(err)
	}
	if got, err := host.Addressed(); err != nil || !got[link.Index] {
		t.Errorf("an address does not count: %v, %v", got, err)
	}
}
