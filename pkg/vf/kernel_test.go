package vf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// The process's first thread cannot end. It is kept for the tests' first goroutine, so that no other one, which a test may
// leave in another namespace, runs on it.
func init() { runtime.LockOSThread() }

// requireKernel skips where namespaces cannot be made, naming what is missing; where NRI_SRIOV_REQUIRE_KERNEL is set,
// as in `make test`, that is a failure.
func requireKernel(t *testing.T, err error, what string) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("NRI_SRIOV_REQUIRE_KERNEL") != "" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("%s is missing here: %v", what, err)
}

// privateNamespace makes a network namespace that ends with the test.
func privateNamespace(t *testing.T) *Namespace {
	t.Helper()
	made := make(chan error, 1)
	var ns *Namespace
	go func() {
		runtime.LockOSThread()
		home, err := ownNamespace()
		if err == nil {
			err = unix.Unshare(unix.CLONE_NEWNET)
		}
		if err == nil {
			ns, err = ownNamespace()
		}
		if err == nil {
			err = unix.Setns(int(home.file.Fd()), unix.CLONE_NEWNET)
			runtime.UnlockOSThread()
		}
		made <- errors.Join(err, home.Close())
	}()
	requireKernel(t, <-made, "a private network namespace (CAP_SYS_ADMIN)")
	t.Cleanup(func() {
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
	})
	return ns
}

func handle(t *testing.T, ns *Namespace) *netlink.Handle {
	t.Helper()
	h, err := netlink.NewHandleAt(netns.NsHandle(ns.file.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// veth makes a pair in ns; the first is what the tests move.
func veth(t *testing.T, ns *Namespace, name, peer string) Interface {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	requireKernel(t, handle(t, ns).LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: peer}), "the link type veth")
	link, err := ns.Interface(name)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// draw shows an interface as a person reads it.
func draw(ns *Namespace, name string) string {
	link, err := ns.Interface(name)
	if err != nil {
		return errors.Unwrap(err).Error()
	}
	return fmt.Sprintf("%s mtu %d up %t", link.Name, link.MTU, link.Up)
}

func TestOneMessageMovesRenamesAndRaises(t *testing.T) {
	host, pod := privateNamespace(t), privateNamespace(t)
	link := veth(t, host, "v0", "v1")
	change := LinkChange{Into: pod, Name: "net1", MTU: 1400, MAC: MAC{2, 0, 0, 0, 0, 0x11}, Up: true}
	if err := host.Change(t.Context(), link.Index, change); err != nil {
		t.Fatal(err)
	}
	if got := draw(pod, "net1"); got != "net1 mtu 1400 up true" {
		t.Error(got)
	}
	if link, err := pod.Interface("net1"); err != nil || link.MAC != change.MAC {
		t.Errorf("%v, %v", link, err)
	}
	if got := draw(host, "v0"); got != ErrNoInterface.Error() {
		t.Errorf("in the host: %s", got)
	}
}

// TestChangeIsNotATransaction records what the way back relies on: after a refusal the device may be in the pod, under
// the name it had in the host.
func TestChangeIsNotATransaction(t *testing.T) {
	t.Attr("fault", "13")
	host, pod := privateNamespace(t), privateNamespace(t)
	veth(t, pod, "net1", "peer")
	link := veth(t, host, "v0", "v1")
	err := host.Change(t.Context(), link.Index, LinkChange{Into: pod, Name: "net1", Up: true})
	if !errors.Is(err, ErrNameTaken) {
		t.Fatal(err)
	}
	if where := draw(host, "v0") + " / " + draw(pod, "v0"); !strings.Contains(where, "v0 mtu 1500 up false") {
		t.Errorf("the device is in neither namespace: %s", where)
	}
}

func TestAlternativeNames(t *testing.T) {
	ns := privateNamespace(t)
	link := veth(t, ns, "v0", "v1")
	for _, want := range [][]string{{"first", "second"}, {"second", "third"}, nil} {
		if err := ns.SetAltNames(t.Context(), link, want); err != nil {
			t.Fatal(err)
		}
		var err error
		if link, err = ns.Interface("v0"); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(link.AltNames); got != fmt.Sprint(want) {
			t.Errorf("alternative names %s, wanted %v", got, want)
		}
	}
	if err := ns.SetAltNames(t.Context(), link, []string{"v1"}); err != nil {
		t.Errorf("a name that is taken: %v", err)
	}
}

func TestModesAndAlias(t *testing.T) {
	host, pod := privateNamespace(t), privateNamespace(t)
	link := veth(t, host, "v0", "v1")
	raw, err := handle(t, host).LinkByName("v0")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(handle(t, host).SetPromiscOn(raw), handle(t, host).LinkSetAllmulticastOn(raw)); err != nil {
		t.Fatal(err)
	}
	if link, err = host.Interface("v0"); err != nil || !link.Promiscuous || !link.AllMulticast {
		t.Fatalf("%+v, %v", link, err)
	}
	alias := "mark"
	if err := host.Change(t.Context(), link.Index, LinkChange{Into: pod, Name: "net1", Alias: &alias, Quiet: true, Up: true}); err != nil {
		t.Fatal(err)
	}
	if link, err = pod.Interface("net1"); err != nil || link.Promiscuous || link.AllMulticast || link.Alias != alias || !link.Up {
		t.Errorf("%+v, %v", link, err)
	}
	alias = ""
	if err := pod.Change(t.Context(), link.Index, LinkChange{Alias: &alias}); err != nil {
		t.Fatal(err)
	}
	if link, err = pod.Interface("net1"); err != nil || link.Alias != "" {
		t.Errorf("%+v, %v", link, err)
	}
}

func TestRefusedMTU(t *testing.T) {
	t.Attr("fault", "14")
	host := privateNamespace(t)
	link := veth(t, host, "v0", "v1")
	if err := host.Change(t.Context(), link.Index, LinkChange{MTU: 1 << 20}); err == nil {
		t.Error("an MTU of a mebibyte was taken")
	}
}

func TestAddressesAndRoutes(t *testing.T) {
	ns := privateNamespace(t)
	link := veth(t, ns, "net1", "peer")
	if err := ns.Change(t.Context(), link.Index, LinkChange{Up: true}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time nothing is left to do
		for _, address := range []string{"192.0.2.10/24", "2001:db8::10/64"} {
			if err := ns.AddAddress(t.Context(), link.Index, netip.MustParsePrefix(address)); err != nil {
				t.Fatal(err)
			}
		}
		for destination, gateway := range map[string]string{"198.51.100.0/24": "192.0.2.1", "2001:db8:1::/48": "2001:db8::1"} {
			err := ns.AddRoute(t.Context(), link.Index, netip.MustParsePrefix(destination), netip.MustParseAddr(gateway))
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := ns.AddRoute(t.Context(), link.Index, netip.MustParsePrefix("203.0.113.0/24"), netip.Addr{}); err != nil {
			t.Fatal(err)
		}
	}
	addresses, err := handle(t, ns).AddrList(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: link.Index}}, netlink.FAMILY_ALL)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, one := range addresses {
		if one.Scope == unix.RT_SCOPE_UNIVERSE {
			got = append(got, one.IPNet.String())
			if one.Flags&unix.IFA_F_TENTATIVE != 0 {
				t.Errorf("%s waits for duplicate address detection", one.IPNet)
			}
		}
	}
	if strings.Join(got, " ") != "192.0.2.10/24 2001:db8::10/64" {
		t.Errorf("addresses: %v", got)
	}
	routes, err := handle(t, ns).RouteList(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: link.Index}}, netlink.FAMILY_V4)
	if err != nil || len(routes) != 3 {
		t.Errorf("routes: %v, %v", routes, err)
	}
}

func TestBusyUntilTheEndOfTheContext(t *testing.T) {
	ns := privateNamespace(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ns.Change(ctx, 1, LinkChange{Up: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("a change after the end: %v", err)
	}
}

func TestOpenNamespaceRefusesOtherThings(t *testing.T) {
	t.Attr("fault", "10")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(t.TempDir(), "none"), t.TempDir(), "/proc/self/ns/mnt"} {
		if _, err := OpenNamespace(path); !errors.Is(err, ErrNoNamespace) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := NamespaceInode(file); !errors.Is(err, ErrNoNamespace) {
		t.Errorf("inode of a file: %v", err)
	}
	inode, err := NamespaceInode("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	ns, err := OpenNamespace("/proc/self/ns/net")
	if err != nil || ns.Inode() != inode {
		t.Fatalf("inode %d, %v", inode, err)
	}
	if err := ns.Close(); err != nil {
		t.Error(err)
	}
}

// TestThreadsStayHome: work in namespaces leaves no thread of ours in one of them.
func TestThreadsStayHome(t *testing.T) {
	t.Attr("fault", "33")
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		ns := privateNamespace(t)
		if _, err := ns.Interface("lo"); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 { // a thread that ended may still be listed
		strays := ""
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			link, err := os.Readlink(filepath.Join("/proc/self/task", task.Name(), "ns/net"))
			if err == nil && link != home {
				strays += " " + task.Name()
			}
		}
		if strays == "" {
			return
		}
		if err := exec.Command("sleep", "0.02").Run(); err != nil {
			t.Fatal(err)
		}
	}
	t.Error("threads stay in other namespaces")
}
