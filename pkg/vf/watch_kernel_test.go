package vf

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// watchedHost is a host in a namespace of its own, where interfaces whose names begin with "vf" stand for those of VFs.
func watchedHost(t *testing.T) (*Host, *Watch, context.CancelFunc) {
	t.Helper()
	host := &Host{net: privateNamespace(t)}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	watch, err := host.watch(ctx, func(link linkState) bool { return strings.HasPrefix(link.name, "vf") }, never)
	if err != nil {
		t.Fatal(err)
	}
	return host, watch, cancel
}

// changes tells whether a signal comes after do.
func changes(t *testing.T, watch *Watch, do func()) bool {
	t.Helper()
	do()
	select {
	case _, open := <-watch.Changed:
		if !open {
			t.Fatalf("the watch has ended: %v", watch.Err())
		}
		return true
	case <-time.After(quietTime * 5):
		return false
	}
}

func TestWatchLinks(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	host, watch, cancel := watchedHost(t)
	pod := privateNamespace(t)
	ns := host.net
	raw := handle(t, ns)
	var link Interface
	change := func(change LinkChange) {
		if err := ns.Change(t.Context(), link.Index, change); err != nil {
			t.Fatal(err)
		}
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	for _, c := range []struct {
		what string
		do   func()
		news bool
	}{
		{"an ordinary pod", func() { veth(t, ns, "cali0", "cali1") }, false},
		{"a VF", func() { link = veth(t, ns, "vf0", "peer0") }, true},
		{"its MTU", func() { change(LinkChange{MTU: 1400}) }, false},
		{"up", func() { change(LinkChange{Up: true}) }, true},
		{"its name", func() { change(LinkChange{Name: "vf1"}) }, true},
		{"an address", func() {
			if err := ns.AddAddress(t.Context(), link.Index, netip.MustParsePrefix("192.0.2.1/24")); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"a bridge", func() { requireKernel(t, raw.LinkAdd(bridge), "the link type bridge") }, false},
		{"a master", func() {
			if err := raw.LinkSetMasterByIndex(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: link.Index}}, bridge.Index); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"away", func() { change(LinkChange{Into: pod}) }, true},
	} {
		if got := changes(t, watch, c.do); got != c.news {
			t.Errorf("%s: news %t", c.what, got)
		}
	}
	cancel()
	if _, open := <-watch.Changed; open {
		t.Error("a signal after the end")
	}
	if watch.Err() != nil {
		t.Error(watch.Err())
	}
}

func TestWatchDefaultRoutes(t *testing.T) {
	host, watch, _ := watchedHost(t)
	ns := host.net
	link := veth(t, ns, "eth0", "eth1")
	if err := ns.Change(t.Context(), link.Index, LinkChange{Up: true}); err != nil {
		t.Fatal(err)
	}
	add := func(destination string) func() {
		return func() {
			if err := ns.AddRoute(t.Context(), link.Index, netip.MustParsePrefix(destination), netip.Addr{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if changes(t, watch, add("198.51.100.0/24")) {
		t.Error("a route to a network")
	}
	if !changes(t, watch, add("0.0.0.0/0")) {
		t.Error("no signal of a default route")
	}
	if !changes(t, watch, func() {
		all := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
		if err := handle(t, ns).RouteDel(&netlink.Route{LinkIndex: link.Index, Dst: all, Scope: netlink.SCOPE_LINK}); err != nil {
			t.Fatal(err)
		}
	}) {
		t.Error("no signal of its end")
	}
}

// TestFilteredRoutes: the kernel keeps routes with a destination from us, and only those.
func TestFilteredRoutes(t *testing.T) {
	ns := privateNamespace(t)
	socket, err := ns.listen(unix.NETLINK_ROUTE, defaultRoutesOnly, linkGroups...)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	link := veth(t, ns, "eth0", "eth1")
	if err := ns.Change(t.Context(), link.Index, LinkChange{Up: true}); err != nil {
		t.Fatal(err)
	}
	for _, destination := range []string{"198.51.100.0/24", "2001:db8::/32", "0.0.0.0/0", "::/0"} {
		if err := ns.AddRoute(t.Context(), link.Index, netip.MustParsePrefix(destination), netip.Addr{}); err != nil {
			t.Fatal(err)
		}
	}
	kinds := map[uint16]int{}
	buffer := make([]byte, maxMessage)
	for kinds[unix.RTM_NEWROUTE] < 2 {
		n, kernels, err := socket.receive(buffer)
		if err != nil || !kernels || n < unix.SizeofNlMsghdr+2 {
			t.Fatalf("%d bytes, of the kernel %t, %v", n, kernels, err)
		}
		kind := uint16(buffer[4]) | uint16(buffer[5])
		if kinds[kind]++; kind == unix.RTM_NEWROUTE && buffer[unix.SizeofNlMsghdr+1] != 0 {
			t.Errorf("a route to /%d", buffer[unix.SizeofNlMsghdr+1])
		}
	}
	if kinds[unix.RTM_NEWLINK] == 0 {
		t.Error("no link came through")
	}
}

// TestDroppedEvents: where the kernel had to drop some, all is learned anew and a signal given.
func TestDroppedEvents(t *testing.T) {
	t.Attr("fault", "30")
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ns := privateNamespace(t)
	socket, err := ns.listen(unix.NETLINK_ROUTE, nil, linkGroups...)
	if err != nil {
		t.Fatal(err)
	}
	if err := socket.raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1)
	}); err != nil {
		t.Fatal(err)
	}
	link := veth(t, ns, "vf0", "vf1")
	for range 20 {
		for _, change := range []LinkChange{{Up: true}, {Down: true}} {
			if err := ns.Change(t.Context(), link.Index, change); err != nil {
				t.Fatal(err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	learned, told, ended := 0, make(chan struct{}, 100), make(chan error)
	go func() {
		ended <- socket.follow(ctx, func() error { learned++; return nil }, func([]byte) bool { return false }, func() { told <- struct{}{} })
	}()
	<-told
	cancel()
	if err := errors.Join(socket.Close(), <-ended); err != nil || learned == 0 {
		t.Errorf("learned %d times, %v", learned, err)
	}
}

// TestWatchDevices has the kernel tell of a PCI device as `udevadm trigger` does, which changes nothing.
func TestWatchDevices(t *testing.T) {
	devices, err := filepath.Glob("/sys/bus/pci/devices/*/uevent")
	if err == nil && len(devices) == 0 {
		err = os.ErrNotExist
	}
	if err != nil {
		t.Skipf("a PCI device is missing here: %v", err)
	}
	_, watch, _ := watchedHost(t)
	if !changes(t, watch, func() {
		if err := os.WriteFile(devices[0], []byte("change\n"), 0); err != nil {
			t.Skipf("the right to have a device's events told again is missing here: %v", err)
		}
	}) {
		t.Error("no signal")
	}
}

// TestWatchThatFails: the end that nobody asked for has a reason.
func TestWatchThatFails(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	host := &Host{net: privateNamespace(t)}
	socket, err := host.net.listen(unix.NETLINK_ROUTE, nil, linkGroups...)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		ended <- socket.follow(t.Context(), func() error { return nil }, func([]byte) bool { return false }, func() {})
	}()
	time.Sleep(10 * time.Millisecond)
	if err := errors.Join(socket.Close()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("a socket that was closed by another ends the reading without an error")
	}
}
