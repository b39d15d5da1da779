package attach

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/nri-sriov/nri-sriov/pkg/vf/vftest"
)

// vfNode is a node with a PF and a VF of it: sysfs is made up, the interfaces are veths, both namespaces are private. A
// veth has no VFs for the kernel, so that the PF refuses every setting and reports nothing, as the worst of drivers.
type vfNode struct {
	Netdev
	pod        *vf.Namespace
	pf         vf.PF
	attachment Attachment
}

func newVFNode(t *testing.T, want Want) *vfNode {
	t.Helper()
	tree := vftest.NewSysfs(t)
	tree.AddPF("0000:01:00.0", vftest.PF{Interface: "pf", Driver: "igb", TotalVFs: 4, NUMANode: -1})
	tree.AddVF("0000:01:10.0", "0000:01:00.0", 0, vftest.VF{Interface: "vf0", Driver: "igbvf", IOMMUGroup: -1})
	n := &vfNode{}
	var err error
	vftest.InPrivateNamespace(t, func() { n.Host, err = vf.OpenHost(tree.Dir) })
	if err != nil {
		t.Fatal(err)
	}
	vftest.InPrivateNamespace(t, func() { n.pod, err = vf.OpenNamespace(fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), threadID())) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(n.Host.Close(), n.pod.Close()); err != nil {
			t.Error(err)
		}
	})
	vftest.AddVeth(t, n.Host.Namespace(), "pf", "wire")
	vftest.AddVeth(t, n.Host.Namespace(), "vf0", "switch")
	link, err := n.Host.Interface("pf")
	if err != nil {
		t.Fatal(err)
	}
	tree.Write("bus/pci/devices/0000:01:00.0/net/pf/ifindex", fmt.Sprintln(link.Index))
	tree.Write("bus/pci/devices/0000:01:00.0/net/pf/mtu", "1500\n")
	pf, err := vf.ParsePCIAddress("0000:01:00.0")
	if err == nil {
		n.pf, err = n.Host.PF(pf)
	}
	if err != nil {
		t.Fatal(err)
	}
	vfs, err := n.Host.VFs(pf)
	if err != nil || len(vfs) != 1 {
		t.Fatalf("%v, %v", vfs, err)
	}
	resting, _, err := n.Rest(vfs[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	want.Network, want.CNIVersion = "n", "1.1.0"
	n.attachment, err = newAttachment(want, "net1", n.pf, inventory.VF{VF: vfs[0]}, resting)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// at tells in which namespace the VF's interface is, and how it is called there.
func (n *vfNode) at(t *testing.T, index int) string {
	t.Helper()
	for where, ns := range map[string]*vf.Namespace{"host": n.Host.Namespace(), "pod": n.pod} {
		links, err := ns.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			if link.Index == index && (link.Name == "vf0" || link.Name == "net1") {
				return where + " " + link.Name
			}
		}
	}
	return "nowhere"
}

func (n *vfNode) index(t *testing.T) int {
	t.Helper()
	link, err := n.Host.Interface("vf0")
	if err != nil {
		t.Fatal(err)
	}
	return link.Index
}

// TestUnsupportedSettingBeforeTheMove: what the driver does not have fails the attach while the VF is in the host.
func TestUnsupportedSettingBeforeTheMove(t *testing.T) {
	t.Attr("fault", "26")
	settings := vf.DefaultSettings()
	settings.VLAN.ID = 100
	n := newVFNode(t, Want{Settings: settings})
	index := n.index(t)
	err := n.Attach(t.Context(), &n.attachment, n.pf, vf.DefaultSettings(), n.pod)
	if !errors.Is(err, vf.ErrUnsupported) || !strings.Contains(err.Error(), "set vlan of VF 0 of pf (driver igb)") {
		t.Errorf("the attach says %v", err)
	}
	if got := n.at(t, index); got != "host vf0" {
		t.Errorf("the VF is in %s", got)
	}
}

// TestSilentPF: a VF that its PF does not report is no clean one.
func TestSilentPF(t *testing.T) {
	t.Attr("fault", "25")
	n := newVFNode(t, Want{Settings: vf.DefaultSettings()})
	err := n.Release(t.Context(), n.attachment, n.pf, nil)
	if err == nil || !strings.Contains(err.Error(), "PF pf does not report VF 0") {
		t.Errorf("the release says %v", err)
	}
	if drift, err := n.Drift(n.attachment, n.pf, n.pod); err != nil || !strings.Contains(strings.Join(drift, ";"), "gone: PF pf has no VF 0") {
		t.Errorf("drift: %v, %v", drift, err)
	}
}

// TestMTUThatThePFDoesNotHave is refused while the VF is in the host.
func TestMTUThatThePFDoesNotHave(t *testing.T) {
	t.Attr("fault", "14")
	n := newVFNode(t, Want{Settings: vf.DefaultSettings(), MTU: 9000})
	index := n.index(t)
	err := n.Attach(t.Context(), &n.attachment, n.pf, vf.DefaultSettings(), n.pod)
	if err == nil || !strings.Contains(err.Error(), "the network has MTU 9000, its PF pf only 1500: raise the PF's MTU") {
		t.Errorf("the attach says %v", err)
	}
	if got := n.at(t, index); got != "host vf0" {
		t.Errorf("the VF is in %s", got)
	}
}

// TestNamesThatClash: the VF's alternative names are in the pod already, or its name there is.
func TestNamesThatClash(t *testing.T) {
	for _, c := range []struct{ name, row, taken, altName, want string }{
		{"alternative names on both sides", "12", "other", "both", ""},
		{"the name is another's alternative name", "12", "other", "net1", `the pod already has an interface "net1"`},
		{"the name is another's", "13", "net1", "x", `the pod already has an interface "net1"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Attr("fault", c.row)
			n := newVFNode(t, Want{Settings: vf.DefaultSettings()})
			index := n.index(t)
			if err := n.Host.SetAltNames(t.Context(), vf.Interface{Index: index, Name: "vf0"}, []string{"both"}); err != nil {
				t.Fatal(err)
			}
			vftest.AddVeth(t, n.pod, c.taken, "peer")
			other, err := n.pod.Interface(c.taken)
			if err == nil {
				err = n.pod.SetAltNames(t.Context(), other, []string{c.altName})
			}
			if err != nil {
				t.Fatal(err)
			}
			err = n.Attach(t.Context(), &n.attachment, n.pf, vf.DefaultSettings(), n.pod)
			if c.want == "" {
				if got := n.at(t, index); err != nil || got != "pod net1" {
					t.Errorf("it is in %s, %v", got, err)
				}
				return
			}
			if !errors.Is(err, vf.ErrNameTaken) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the attach says %v", err)
			}
			// Wherever it stopped, the way back finds it by its number and takes it home.
			if link, err := n.pod.Interface("vf0"); err == nil {
				if err := n.fetchOne(t.Context(), n.attachment, link, "vf0", "spare", n.pod); err != nil {
					t.Error(err)
				}
			}
			if got := n.at(t, index); got != "host vf0" {
				t.Errorf("it is in %s", got)
			}
			if there, err := n.pod.Interface(c.taken); err != nil || there.Index != other.Index {
				t.Errorf("the pod's own interface: %+v, %v", there, err)
			}
		})
	}
}

// TestVFInNoNamespaceThatWeSee: a pod has moved it on. It is not clean, in bounded time, and is reported with where it was
// looked for.
func TestVFInNoNamespaceThatWeSee(t *testing.T) {
	t.Attr("fault", "19")
	n := newVFNode(t, Want{Settings: vf.DefaultSettings()})
	var elsewhere *vf.Namespace
	var err error
	vftest.InPrivateNamespace(t, func() {
		elsewhere, err = vf.OpenNamespace(fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), threadID()))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	if err := n.Host.Change(t.Context(), n.index(t), vf.LinkChange{Into: elsewhere, Name: "hidden"}); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	err = n.Release(t.Context(), n.attachment, n.pf, n.pod)
	if !errors.Is(err, vf.ErrNoInterface) || !strings.Contains(err.Error(), "wait for 0000:01:10.0 to come home") {
		t.Errorf("the release says %v", err)
	}
	if took := time.Since(begun); took > homeTime+3*time.Second {
		t.Errorf("it took %s", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := n.Release(ctx, n.attachment, n.pf, nil); err == nil {
		t.Error("it was found clean")
	}
	if drift, err := n.Drift(n.attachment, n.pf, n.pod); err != nil || !strings.Contains(strings.Join(drift, ";"), "neither in the pod nor in the host") {
		t.Errorf("drift: %v, %v", drift, err)
	}
}

// TestVFWhosePFIsGone: a PF that was unplugged, or whose VFs were removed, ends its releases at once.
func TestVFWhosePFIsGone(t *testing.T) {
	for _, row := range []string{"22", "23"} {
		t.Attr("fault", row)
	}
	n := newVFNode(t, Want{Settings: vf.DefaultSettings()})
	n.attachment.Address.Function = 7 // nothing is there
	begun := time.Now()
	for _, ns := range []*vf.Namespace{n.pod, nil} {
		if err := n.Release(t.Context(), n.attachment, n.pf, ns); !errors.Is(err, ErrGone) {
			t.Errorf("the release says %v", err)
		}
	}
	if err := n.Attach(t.Context(), &n.attachment, n.pf, vf.DefaultSettings(), n.pod); !errors.Is(err, ErrGone) {
		t.Errorf("the attach says %v", err)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("it took %s", took)
	}
}
