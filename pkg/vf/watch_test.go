package vf

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

func TestDeviceNews(t *testing.T) {
	for text, want := range map[string]bool{
		"add@/devices/pci0000:00/0000:00:02.0|ACTION=add|DEVPATH=/devices/pci0000:00/0000:00:02.0|SUBSYSTEM=pci|SEQNUM=7|": true,
		"unbind@/devices/pci0000:00/0000:00:02.0|ACTION=unbind|SUBSYSTEM=pci|DRIVER=igbvf":                                 true,
		"add@/devices/virtual/net/veth0|ACTION=add|SUBSYSTEM=net|INTERFACE=veth0|":                                         false,
		"add@/devices/x|NAME=SUBSYSTEM=pci|SUBSYSTEM=usb|":                                                                 false,
		"add@/devices/x|SUBSYSTEM=pcie|":                                                                                   false,
		"libudev|SUBSYSTEM=pci|":                                                                                           false,
		"add@/devices/x|":                                                                                                  false,
		"SUBSYSTEM=pci":                                                                                                    false,
		"":                                                                                                                 false,
	} {
		if got := deviceNews([]byte(strings.ReplaceAll(text, "|", "\x00")), never); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

// message puts struct nlmsghdr before a body.
func message(kind uint16, body []byte) []byte {
	data := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	data = binary.NativeEndian.AppendUint16(data, kind)
	data = append(append(data, make([]byte, 10)...), body...)
	return append(data, make([]byte, (4-len(data)%4)%4)...)
}

func linkMessageOf(kind uint16, index int, flags uint32, attributes ...*nl.RtAttr) []byte {
	header := nl.NewIfInfomsg(unix.AF_UNSPEC)
	header.Index, header.Flags = int32(index), flags
	body := header.Serialize()
	for _, one := range attributes {
		body = append(body, one.Serialize()...)
	}
	return message(kind, body)
}

func named(name string) *nl.RtAttr           { return nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)) }
func word(kind int, value uint32) *nl.RtAttr { return nl.NewRtAttr(kind, nl.Uint32Attr(value)) }
func onBus(bus string) *nl.RtAttr {
	return nl.NewRtAttr(unix.IFLA_PARENT_DEV_BUS_NAME, nl.ZeroTerminated(bus))
}

func kindOf(kind string) *nl.RtAttr {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO|unix.NLA_F_NESTED, nil)
	info.AddRtAttr(unix.IFLA_INFO_KIND, nl.ZeroTerminated(kind))
	return info
}

func withXDP(mode byte) *nl.RtAttr {
	xdp := nl.NewRtAttr(unix.IFLA_XDP|unix.NLA_F_NESTED, nil)
	xdp.AddRtAttr(unix.IFLA_XDP_ATTACHED, []byte{mode})
	return xdp
}

func addressMessageOf(kind uint16, index, scope int, last byte) []byte {
	body := []byte{unix.AF_INET, 24, 0, byte(scope)}
	body = binary.NativeEndian.AppendUint32(body, uint32(index))
	return message(kind, append(body, nl.NewRtAttr(unix.IFA_LOCAL, []byte{192, 0, 2, last}).Serialize()...))
}

func routeMessageOf(kind uint16, length, routeType byte) []byte {
	return message(kind, []byte{unix.AF_INET, length, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, 0, routeType, 0, 0, 0, 0})
}

func TestNews(t *testing.T) {
	const newLink, gone = unix.RTM_NEWLINK, unix.RTM_DELLINK
	pci, elsewhere, up := onBus("pci"), word(unix.IFLA_LINK_NETNSID, 0), uint32(unix.IFF_UP)
	two := append(linkMessageOf(newLink, 4, up, named("veth0"), kindOf("veth")), linkMessageOf(newLink, 11, 0, named("v1"), pci)...)
	s := &sightings{ours: linkState.ofFunction, busy: never}
	s.forget()
	for i, c := range []struct {
		what string
		data []byte
		news bool
	}{
		{"a VF comes", linkMessageOf(newLink, 3, 0, named("v0"), pci), true},
		{"it is told of again", linkMessageOf(newLink, 3, 0, named("v0"), pci), false},
		{"its MTU", linkMessageOf(newLink, 3, 0, named("v0"), word(unix.IFLA_MTU, 9000), pci), false},
		{"its name", linkMessageOf(newLink, 3, 0, named("enp1s0v0"), pci), true},
		{"it is raised", linkMessageOf(newLink, 3, up, named("enp1s0v0"), pci), true},
		{"a master", linkMessageOf(newLink, 3, up, named("enp1s0v0"), word(unix.IFLA_MASTER, 9), pci), true},
		{"none again", linkMessageOf(newLink, 3, up, named("enp1s0v0"), pci), true},
		{"somebody listens", linkMessageOf(newLink, 3, up, named("enp1s0v0"), word(unix.IFLA_PROMISCUITY, 1), pci), true},
		{"XDP", linkMessageOf(newLink, 3, up, named("enp1s0v0"), word(unix.IFLA_PROMISCUITY, 1), withXDP(1), pci), true},
		{"a veth", linkMessageOf(newLink, 4, up, named("veth0"), word(unix.IFLA_LINK, 5), kindOf("veth")), false},
		{"a VLAN upon what has the number elsewhere", linkMessageOf(newLink, 6, up, word(unix.IFLA_LINK, 3), elsewhere, kindOf("vlan")), false},
		{"a veth whose peer is the VF", linkMessageOf(newLink, 6, up, named("veth1"), word(unix.IFLA_LINK, 3), kindOf("veth")), false},
		{"a VLAN upon the VF", linkMessageOf(newLink, 7, up, named("v0.5"), word(unix.IFLA_LINK, 3), kindOf("vlan")), true},
		{"it ends", linkMessageOf(gone, 7, up, named("v0.5"), word(unix.IFLA_LINK, 3), kindOf("vlan")), true},
		{"the end of what nobody knows", linkMessageOf(gone, 8, 0, named("x"), kindOf("veth")), false},
		{"the loopback", linkMessageOf(newLink, 1, up|unix.IFF_LOOPBACK, named("lo")), false},
		{"a NIC on another bus", linkMessageOf(newLink, 9, up, named("eth0"), onBus("virtio")), false},
		{"a NIC of an old kernel", linkMessageOf(newLink, 10, up, named("eth1")), true},
		{"an address", addressMessageOf(unix.RTM_NEWADDR, 3, unix.RT_SCOPE_UNIVERSE, 1), true},
		{"its renewal", addressMessageOf(unix.RTM_NEWADDR, 3, unix.RT_SCOPE_UNIVERSE, 1), false},
		{"another one", addressMessageOf(unix.RTM_NEWADDR, 3, unix.RT_SCOPE_UNIVERSE, 2), true},
		{"its end", addressMessageOf(unix.RTM_DELADDR, 3, unix.RT_SCOPE_UNIVERSE, 2), true},
		{"the end of one that is not known", addressMessageOf(unix.RTM_DELADDR, 3, unix.RT_SCOPE_UNIVERSE, 3), false},
		{"a link-local one", addressMessageOf(unix.RTM_NEWADDR, 3, unix.RT_SCOPE_LINK, 4), false},
		{"one of the veth", addressMessageOf(unix.RTM_NEWADDR, 4, unix.RT_SCOPE_UNIVERSE, 5), false},
		{"a default route", routeMessageOf(unix.RTM_NEWROUTE, 0, unix.RTN_UNICAST), true},
		{"its end", routeMessageOf(unix.RTM_DELROUTE, 0, unix.RTN_UNICAST), true},
		{"a route to somewhere", routeMessageOf(unix.RTM_NEWROUTE, 24, unix.RTN_UNICAST), false},
		{"no way out", routeMessageOf(unix.RTM_NEWROUTE, 0, unix.RTN_UNREACHABLE), false},
		{"the VF leaves", linkMessageOf(gone, 3, 0, named("enp1s0v0"), pci), true},
		{"and its number is a veth's", linkMessageOf(newLink, 3, up, named("veth3"), kindOf("veth")), false},
		{"two in one, the second is news", two, true},
		{"a length beyond the end", []byte{255, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, true},
		{"a length of nothing", make([]byte, 16), true},
		{"an attribute beyond the end", message(newLink, append(make([]byte, unix.SizeofIfInfomsg), 99, 0, 3, 0)), true},
		{"a short link", message(newLink, []byte{1}), true},
		{"a short address", message(unix.RTM_NEWADDR, []byte{1}), true},
		{"a short route", message(unix.RTM_NEWROUTE, []byte{1}), true},
	} {
		if got := s.news(c.data); got != c.news {
			t.Errorf("%d, %s: news %t", i, c.what, got)
		}
	}
	if text := fmt.Sprint(len(s.links), len(s.addresses)); text != "2 0" {
		t.Errorf("links and addresses that are still known: %s, %v", text, s.links)
	}
}

// FuzzNews: whatever arrives, nothing panics, and no more is remembered than was sent.
func FuzzNews(f *testing.F) {
	f.Add(linkMessageOf(unix.RTM_NEWLINK, 3, 1, named("v0"), onBus("pci"), withXDP(2), kindOf("vlan")))
	f.Add(append(linkMessageOf(unix.RTM_NEWLINK, 3, 1, named("v0"), onBus("pci")), addressMessageOf(unix.RTM_NEWADDR, 3, 0, 1)...))
	f.Add(routeMessageOf(unix.RTM_NEWROUTE, 0, unix.RTN_UNICAST))
	f.Add([]byte("add@/devices/x\x00SUBSYSTEM=pci\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		deviceNews(data, never)
		s := &sightings{ours: linkState.ofFunction, busy: never}
		s.forget()
		s.news(data)
		if known := len(s.links) + len(s.addresses); known > len(data)/unix.SizeofNlMsghdr {
			t.Errorf("%d are known from %d bytes", known, len(data))
		}
	})
}

// TestCalm: one signal for many events, not before it is quiet, and not never where it never is.
func TestCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		events, changed := make(chan struct{}, 1), make(chan struct{}, 1)
		begun := time.Now()
		signals := make(chan time.Duration, 100)
		go func() {
			calm(ctx, events, changed)
			close(changed)
		}()
		go func() {
			for range changed {
				signals <- time.Since(begun)
			}
			close(signals)
		}()
		for range 5 {
			signal(events)
			time.Sleep(90 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		for range 40 {
			signal(events)
			time.Sleep(90 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		cancel()
		var got []time.Duration
		for at := range signals {
			got = append(got, at)
		}
		if text := fmt.Sprint(got); text != "[560ms 1m2.45s 1m4.16s]" {
			t.Error(text)
		}
	})
}

func BenchmarkNewsOfVeth(b *testing.B) {
	s := &sightings{ours: linkState.ofFunction, busy: never}
	s.forget()
	attributes := []*nl.RtAttr{named("veth0"), word(unix.IFLA_LINK, 5), kindOf("veth")}
	for kind := range 40 {
		attributes = append(attributes, nl.NewRtAttr(100+kind, make([]byte, 16)))
	}
	data := linkMessageOf(unix.RTM_NEWLINK, 4, 1, attributes...)
	b.ReportAllocs()
	for b.Loop() {
		if s.news(data) {
			b.Fatal("a veth is news")
		}
	}
}

// never is a node on which nobody is at work.
func never(string) bool { return false }

// TestBusy: what is done to a function by whoever has it is no news, but that it is no more.
func TestBusy(t *testing.T) {
	busy := func(function string) bool { return function == "0000:01:10.0" }
	for text, want := range map[string]bool{
		"bind@/devices/x|SUBSYSTEM=pci|PCI_SLOT_NAME=0000:01:10.0":   false,
		"unbind@/devices/x|PCI_SLOT_NAME=0000:01:10.0|SUBSYSTEM=pci": false,
		"remove@/devices/x|SUBSYSTEM=pci|PCI_SLOT_NAME=0000:01:10.0": true,
		"bind@/devices/x|SUBSYSTEM=pci|PCI_SLOT_NAME=0000:01:10.1":   true,
	} {
		if got := deviceNews([]byte(strings.ReplaceAll(text, "|", "\x00")), busy); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
	var returned []string
	s := &sightings{ours: linkState.ofFunction, busy: busy, returned: func(function string) { returned = append(returned, function) }}
	s.forget()
	for _, function := range []string{"0000:01:10.0", "0000:01:10.1"} {
		index := len(function) + int(function[len(function)-1])
		link := linkState{index: index, name: "a", parentBus: "pci", parent: function}
		renamed := link
		renamed.name = "b"
		for i, news := range []bool{s.link(link, false), s.link(renamed, false), s.link(renamed, true)} {
			if news == busy(function) {
				t.Errorf("%s: change %d is news: %t", function, i, news)
			}
		}
	}
	if !slices.Equal(returned, []string{"0000:01:10.0"}) {
		t.Errorf("returned, each once: %v", returned)
	}
}
