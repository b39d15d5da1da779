package attach

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/nri-sriov/nri-sriov/pkg/vf/vftest"
)

// ports is a node whose one adapter hangs two ports on one function, as ConnectX-3 does. No emulated NIC does that: the
// sysfs tree is made up, the interfaces are veths, and both network namespaces are private.
type ports struct {
	Netdev
	host, pod  *vf.Namespace
	attachment Attachment
}

func twoPorts(t *testing.T) *ports {
	t.Helper()
	tree := vftest.NewSysfs(t)
	tree.AddPF("0000:01:00.0", vftest.PF{Interface: "second", Driver: "mlx4_core", TotalVFs: 4, NUMANode: -1})
	tree.Write("bus/pci/devices/0000:01:00.0/net/second/dev_port", "1\n")
	tree.Write("bus/pci/devices/0000:01:00.0/net/zfirst/dev_port", "0\n")
	p := &ports{}
	var err error
	vftest.InPrivateNamespace(t, func() { p.Host, err = vf.OpenHost(tree.Dir) })
	if err != nil {
		t.Fatal(err)
	}
	vftest.InPrivateNamespace(t, func() { p.pod, err = vf.OpenNamespace(fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), threadID())) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Host.Close(), p.pod.Close()); err != nil {
			t.Error(err)
		}
	})
	p.host = p.Host.Namespace()
	vftest.AddVeth(t, p.host, "second", "peer2")
	vftest.AddVeth(t, p.host, "zfirst", "peer1")
	address, err := vf.ParsePCIAddress("0000:01:00.0")
	if err != nil {
		t.Fatal(err)
	}
	resting, marked, err := p.Rest(address)
	if err != nil || marked || len(resting) != 2 || resting[0].Interface != "zfirst" {
		t.Fatalf("at rest: %+v, %t, %v", resting, marked, err)
	}
	p.attachment, err = newAttachment(Want{Network: "n", Whole: true, CNIVersion: "1.1.0", MTU: 1400}, "net1",
		vf.PF{Address: address, Interface: "second"}, inventory.VF{VF: vf.VF{Address: address, ID: -1}}, resting)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func threadID() int {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return vftest.ThreadID()
}

// draw shows where an interface is, and how.
func (p *ports) draw(names ...string) string {
	var lines []string
	for where, ns := range map[string]*vf.Namespace{"host": p.host, "pod": p.pod} {
		for _, name := range names {
			if link, err := ns.Interface(name); err == nil {
				lines = append(lines, fmt.Sprintf("%s: %s mtu %d up %t", where, link.Name, link.MTU, link.Up))
			}
		}
	}
	return strings.Join(lines, ", ")
}

func TestBothPortsMove(t *testing.T) {
	p := twoPorts(t)
	a := p.attachment
	if err := p.Attach(t.Context(), &a, vf.PF{}, vf.DefaultSettings(), p.pod); err != nil {
		t.Fatal(err)
	}
	if got := p.draw("net1"); got != "pod: net1 mtu 1400 up true" {
		t.Error(got)
	}
	if got := p.draw("net1d1"); got != "pod: net1d1 mtu 1400 up true" {
		t.Error(got)
	}
	first, err := p.pod.Interface("net1")
	if err != nil || !strings.Contains(first.Alias, `"interface":"zfirst"`) {
		t.Errorf("the mark of the first port: %q, %v", first.Alias, err)
	}
	for _, port := range a.Ports {
		link, err := p.pod.Interface(port.Interface)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.fetchOne(t.Context(), a, link, port.Resting.Interface, "spare", p.pod); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Release(t.Context(), a, vf.PF{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := p.draw("zfirst") + ", " + p.draw("second"); got != "host: zfirst mtu 1500 up false, host: second mtu 1500 up false" {
		t.Error(got)
	}
}

// TestNameTakenMeanwhile: the interface waits under a spare name, and gets its own as soon as that is free.
func TestNameTakenMeanwhile(t *testing.T) {
	t.Attr("fault", "11")
	t.Attr("fault", "12")
	p := twoPorts(t)
	a := p.attachment
	link, err := p.host.Interface("zfirst")
	if err == nil {
		err = p.Host.Change(t.Context(), link.Index, vf.LinkChange{Name: "net1"})
	}
	if err != nil {
		t.Fatal(err)
	}
	vftest.AddVeth(t, p.host, "zfirst", "thief")
	if err := p.lower(t.Context(), a, 0, vf.Interface{Index: link.Index, Name: "net1"}); !errors.Is(err, vf.ErrNameTaken) {
		t.Fatal(err)
	}
	if got := p.draw("v000001000p0"); got != "host: v000001000p0 mtu 1500 up false" {
		t.Error(got)
	}
	thief, err := p.host.Interface("zfirst")
	if err == nil {
		err = p.Host.Change(t.Context(), thief.Index, vf.LinkChange{Name: "other"})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := p.lower(t.Context(), a, 0, vf.Interface{Index: link.Index, Name: "v000001000p0"}); err != nil {
		t.Fatal(err)
	}
	if got := p.draw("zfirst"); got != "host: zfirst mtu 1500 up false" {
		t.Error(got)
	}
}

// TestKilledBetweenThePorts: one port has moved, the other has not.
func TestKilledBetweenThePorts(t *testing.T) {
	t.Attr("fault", "13")
	p := twoPorts(t)
	a := p.attachment
	vftest.AddVeth(t, p.pod, "net1d1", "inTheWay")
	err := p.Attach(t.Context(), &a, vf.PF{}, vf.DefaultSettings(), p.pod)
	if !errors.Is(err, vf.ErrNameTaken) || !strings.Contains(err.Error(), `the pod already has an interface "net1d1"`) {
		t.Fatal(err)
	}
	if got := p.draw("net1"); got != "pod: net1 mtu 1400 up true" {
		t.Error(got)
	}
}

func TestLongNameOfASecondPort(t *testing.T) {
	_, err := newAttachment(Want{}, "fourteenbytes1", vf.PF{}, inventory.VF{}, []Resting{{}, {}})
	if err == nil || !strings.Contains(err.Error(), "longer than 15 bytes") {
		t.Error(err)
	}
}

func TestMarks(t *testing.T) {
	t.Attr("fault", "11")
	r := Resting{
		Interface: "enp1s0v0", MAC: vf.MAC{2, 0, 0, 0, 0, 1}, MTU: 1500, Alias: strings.Repeat("a", 200),
		AltNames: []string{strings.Repeat("b", 60)},
	}
	if len(r.mark()) > maxAlias {
		t.Errorf("a mark of %d bytes", len(r.mark()))
	}
	r.Alias, r.AltNames = "uplink", []string{"enx1"}
	got, marked := restingOf(vf.Interface{Name: "net1", Alias: r.mark(), MAC: vf.MAC{2, 0, 0, 0, 0, 9}})
	if !marked || fmt.Sprint(got) != fmt.Sprint(r) {
		t.Errorf("%+v, %t", got, marked)
	}
	for _, forged := range []string{"", "{", `{"interface":"../x","mac":"02:00:00:00:00:01","mtu":1500}`, `{"interface":"eth0","mtu":1500}`,
		`{"interface":"eth0","mac":"02:00:00:00:00:01","mtu":1500,"altNames":["a/b"]}`} {
		got, marked := restingOf(vf.Interface{Name: "net1", Alias: markPrefix + forged, MAC: vf.MAC{2, 0, 0, 0, 0, 9}})
		if !marked || got.Interface != "net1" || got.MAC == (vf.MAC{2, 0, 0, 0, 0, 9}) || got.Alias != "" {
			t.Errorf("%q gives %+v, %t", forged, got, marked)
		}
	}
}

func FuzzReadMark(f *testing.F) {
	f.Add(`{"interface":"enp1s0v0","mac":"02:00:00:00:00:01","mtu":1500}`)
	f.Fuzz(func(t *testing.T, text string) {
		if r, ok := readMark(text); ok {
			if again, ok := readMark(strings.TrimPrefix(r.mark(), markPrefix)); !ok || again.Interface != r.Interface {
				t.Errorf("%q is read as %+v, which is read as %+v", text, r, again)
			}
		}
	})
}
