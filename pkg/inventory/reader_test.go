package inventory

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/nri-sriov/nri-sriov/pkg/vf/vftest"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const readPF = "0000:01:00.0"

func readVF(id int) string { return fmt.Sprintf("0000:01:10.%d", id) }

// realHost is a node in network namespaces of its own, with a PF "pf" and VFs whose interfaces are veths named "vf0", …;
// the pairs' other ends are in a pod.
func realHost(t *testing.T, vfs int) (host *vf.Host, pod *vf.Namespace, tree *vftest.Sysfs) {
	t.Helper()
	tree = vftest.NewSysfs(t)
	open := func() (opened *vf.Host) {
		vftest.InPrivateNamespace(t, func() {
			var err error
			if opened, err = vf.OpenHost(tree.Dir); err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(func() {
			if err := opened.Close(); err != nil {
				t.Error(err)
			}
		})
		return opened
	}
	host, pod = open(), open().Namespace()
	tree.AddPF(readPF, vftest.PF{Interface: "pf", Driver: "igb", TotalVFs: 7, NUMANode: 0})
	for id, name := 0, "pf"; ; id, name = id+1, fmt.Sprint("vf", id) {
		vftest.AddVeth(t, host.Namespace(), name, "peer"+name)
		change(t, host, "peer"+name, vf.LinkChange{Into: pod})
		if id == vfs {
			return host, pod, tree
		}
		tree.AddVF(readVF(id), readPF, id, vftest.VF{Interface: fmt.Sprint("vf", id), Driver: "igbvf", IOMMUGroup: -1})
	}
}

func change(t *testing.T, host *vf.Host, name string, change vf.LinkChange) int {
	t.Helper()
	link, err := host.Interface(name)
	if err == nil && !change.IsZero() {
		err = host.Change(t.Context(), link.Index, change)
	}
	if err != nil {
		t.Fatal(err)
	}
	return link.Index
}

// inside does something with netlink in the host.
func inside(t *testing.T, host *vf.Host, do func(*netlink.Handle) error) {
	t.Helper()
	err := host.Namespace().Enter(func() error {
		handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer handle.Close()
		return do(handle)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// drawn reads a node and draws what is not free, a line each.
func drawn(t *testing.T, host *vf.Host, node *config.Node, remembered Remembered) string {
	t.Helper()
	providers, _, err := Read(host, node, remembered)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, provider := range providers {
		for _, one := range append([]*VF{provider.Whole}, provider.VFs...) {
			if one != nil && one.State != Free {
				lines = append(lines, fmt.Sprintf("%d %s: %s", one.ID, one.State, one.Reason))
			}
		}
	}
	return strings.Join(lines, "\n")
}

// TestHostsOwn: an interface that the host uses is never offered, one that is merely up is.
func TestHostsOwn(t *testing.T) {
	host, pod, _ := realHost(t, 7)
	ns := host.Namespace()
	raised := vf.LinkChange{Up: true}
	address := change(t, host, "vf0", raised)
	if err := ns.AddAddress(t.Context(), address, netip.MustParsePrefix("192.0.2.1/24")); err != nil {
		t.Fatal(err)
	}
	route := change(t, host, "pf", raised)
	if err := ns.AddRoute(t.Context(), route, netip.MustParsePrefix("::/0"), netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	port, lower := change(t, host, "vf1", raised), change(t, host, "vf2", raised)
	inside(t, host, func(handle *netlink.Handle) error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
		if err := handle.LinkAdd(bridge); err != nil {
			return err
		}
		if err := handle.LinkSetMasterByIndex(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: port}}, bridge.Index); err != nil {
			return err
		}
		return handle.LinkAdd(&netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "mac0", ParentIndex: lower}, Mode: netlink.MACVLAN_MODE_BRIDGE})
	})
	change(t, host, "vf3", vf.LinkChange{Into: pod})
	listen(t, host, change(t, host, "vf4", raised), true)
	listen(t, host, change(t, host, "vf5", raised), false) // as DHCP clients and lldpd do
	flag := change(t, host, "vf6", raised)
	inside(t, host, func(handle *netlink.Handle) error {
		return handle.SetPromiscOn(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: flag}})
	})
	want := strings.Join([]string{
		"-1 excluded: pf carries the host's default route",
		"0 excluded: vf0 has an address of the host",
		"1 excluded: vf1 is a port of a bridge or bond of the host",
		"2 excluded: vf2 carries the host's interface mac0",
		"3 excluded: has no interface in the host: it is in another network namespace without our record",
		"4 excluded: vf4 is up and a program of the host listens to all of its frames",
	}, "\n")
	if got := drawn(t, host, config.Default(), Remembered{CNILocks: t.TempDir()}); got != want {
		t.Errorf("got\n%s\nwanted\n%s", got, want)
	}
}

// listen binds a packet socket to an interface for as long as the test lasts.
func listen(t *testing.T, host *vf.Host, index int, promiscuous bool) {
	t.Helper()
	err := host.Namespace().Enter(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		t.Cleanup(func() { unix.Close(fd) })
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: 0x0300, Ifindex: index}); err != nil || !promiscuous {
			return err
		}
		all := &unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
		return unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, all)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestUse(t *testing.T) {
	r := reader{}
	for _, c := range []struct {
		link vf.Interface
		want string
	}{
		{vf.Interface{Up: true, Running: true}, ""},
		{vf.Interface{Up: true, XDP: true}, "is up and has an XDP program of the host"},
		{vf.Interface{XDP: true, Promiscuity: 1}, ""},
		{vf.Interface{Up: true, Promiscuous: true, Promiscuity: 1}, ""},
		{vf.Interface{Up: true, Promiscuous: true, Promiscuity: 2}, "is up and a program of the host listens to all of its frames"},
	} {
		if got := r.use(c.link); got != c.want {
			t.Errorf("%+v: %q", c.link, got)
		}
	}
}

// TestForeignDrivers: a VF that is bound to what we did not choose is somebody's.
func TestForeignDrivers(t *testing.T) {
	host, _, tree := realHost(t, 0)
	for id, driver := range []string{"vfio-pci", "uio_pci_generic", "", "vfio-pci"} {
		tree.AddVF(readVF(id), readPF, id, vftest.VF{Driver: driver, IOMMUGroup: id})
	}
	ours := map[vf.PCIAddress]bool{address(t, readVF(3)): true}
	want := `0 excluded: is bound to vfio-pci, by somebody else: the config does not let it rest there
1 excluded: is bound to uio_pci_generic, by somebody else: the config does not let it rest there
2 excluded: has no driver`
	if got := drawn(t, host, config.Default(), Remembered{Bound: ours}); got != want {
		t.Errorf("got\n%s\nwanted\n%s", got, want)
	}
	node := config.Default()
	node.OfferAll, node.Providers = false, []config.Provider{{PF: "pf", Driver: "vfio-pci"}}
	want = "1 excluded: is bound to uio_pci_generic, by somebody else: the config does not let it rest there"
	if got := drawn(t, host, node, Remembered{}); got != want {
		t.Errorf("where they rest in vfio-pci: got\n%s\nwanted\n%s", got, want)
	}
}

func address(t *testing.T, text string) vf.PCIAddress {
	t.Helper()
	parsed, err := vf.ParsePCIAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// TestCNILocks: what sriov-cni has given to a pod that is there is not offered, whatever it is bound to.
func TestCNILocks(t *testing.T) {
	host, _, tree := realHost(t, 6)
	tree.AddVF(readVF(6), readPF, 6, vftest.VF{Driver: "vfio-pci", IOMMUGroup: 6})
	locks := t.TempDir()
	other := "/proc/self/ns/net" // not the host's of this test
	for id, text := range []string{
		other, other + "\n", "/run/netns/gone", "", "proc/self/ns/net", strings.Repeat("/", 3*maxNamespacePath) + other, other,
	} {
		if err := os.WriteFile(filepath.Join(locks, readVF(id)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(locks, "vf_lock"), 0o700); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, id := range []int{0, 1, 6} {
		want = append(want, fmt.Sprintf("%d excluded: is locked by sriov-cni: %s/%s names a pod's network namespace that still exists", id, locks, readVF(id)))
	}
	node := config.Default()
	node.OfferAll, node.Providers = false, []config.Provider{{PF: "pf", Driver: "vfio-pci"}}
	if got := drawn(t, host, node, Remembered{CNILocks: locks}); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwanted\n%s", got, strings.Join(want, "\n"))
	}
	if _, _, err := Read(host, node, Remembered{CNILocks: filepath.Join(locks, readVF(0))}); err == nil {
		t.Error("a folder that is a file")
	}
	if got := drawn(t, host, node, Remembered{CNILocks: filepath.Join(locks, "none")}); got != "" {
		t.Error(got)
	}
	if err := host.Namespace().Enter(func() error {
		if otherNamespace("/proc/thread-self/ns/net", host.Namespace()) {
			t.Error("the host's own namespace is taken for a pod's")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// TestWhatTheConfigSays of a provider is what the pool gets, in the units of placement.
func TestWhatTheConfigSays(t *testing.T) {
	host, _, _ := realHost(t, 2)
	node, err := config.Parse("config.yaml", []byte(`
apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
providers: [{pf: pf, reserved: 1, traits: [CUSTOM_RED], bandwidth: {egress: 10000, ingress: 5}, allowNoIOMMU: true}]
networks: [{name: a}]
`))
	if err != nil {
		t.Fatal(err)
	}
	providers, missing, err := Read(host, node, Remembered{CNILocks: t.TempDir()})
	if err != nil || len(missing) != 0 || len(providers) != 1 {
		t.Fatal(providers, missing, err)
	}
	p := providers[0]
	if p.Bandwidth != (Bandwidth{Egress: 10_000_000, Ingress: 5_000}) || p.Reserved != 1 || !p.AllowNoIOMMU || !p.has("CUSTOM_RED") || !p.VFs[1].AllowNoIOMMU {
		t.Errorf("%+v", p)
	}
}
