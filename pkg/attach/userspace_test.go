package attach_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

func wantVFIO(vlan uint16, name string) attach.Want {
	w := want(vlan, name)
	w.Device = config.DeviceVFIO
	return w
}

// TestUserspaceAlwaysHasAMAC: the VF's own address is set by the PF, so that no driver invents one.
func TestUserspaceAlwaysHasAMAC(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	got := b.mustAttach("a", wantVFIO(100, "net1"))
	if got[0].Device != config.DeviceVFIO || got[0].Driver != "vfio-pci" || got[0].Settings.MAC.String() != attachtest.RestMAC {
		t.Errorf("%+v", got[0])
	}
	b.Release("a")
	b.eventually("")
}

// TestCopiesOutliveTheJournal: a device that bears no mark stays its pod's when the journal is lost.
func TestCopiesOutliveTheJournal(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	b.mustAttach("a", wantVFIO(100, "net1"))
	if err := os.Remove(filepath.Join(b.dir, "sandboxes/a.json")); err != nil {
		t.Fatal(err)
	}
	after := restart(b)
	after.eventually("0000:01:10.0 claimed a\n0000:01:10.0 net1 in \"pod\" vlan 100")
	if refused := after.Reconcile([]attach.Live{{Sandbox: sandbox("a"), Wants: []attach.Want{wantVFIO(100, "net1")}}}); len(refused) != 0 {
		t.Fatal(refused)
	}
	after.mustReady("a")
	after.Release("a")
	after.eventually("")
	after.gone("a")
	if left := append(after.files("sandboxes"), after.files("copies/sandboxes")...); len(left) != 0 {
		t.Errorf("traces left: %v", left)
	}
}

// TestHostNetwork: a pod of the host's network may have what it drives itself; its end is its first process's. A daemon that
// does not see the host's processes takes nobody's end for granted, and waits for the runtime's word.
func TestHostNetwork(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	process := exec.Command("sleep", "60")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	pod := attach.Sandbox{ID: "a", Namespace: "prod", Name: "a", PID: process.Process.Pid}
	if err := b.Attach(pod, []attach.Want{want(1, "net1")}, false); err == nil {
		t.Fatalf("a network interface for a host-network pod: %v", err)
	}
	if err := b.Attach(pod, []attach.Want{wantVFIO(1, "net1")}, false); err != nil {
		t.Fatal(err)
	}
	if got := b.mustReady("a"); !strings.Contains(string(got[0].Result), `"name":"net1"`) {
		t.Errorf("result: %s", got[0].Result)
	}
	b = restart(b)
	if refused := b.Reconcile([]attach.Live{{Sandbox: pod, Wants: []attach.Want{wantVFIO(1, "net1")}}}); len(refused) != 0 {
		t.Fatal(refused)
	}
	b.mustReady("a")
	b.Sweep()
	if !b.Known("a") {
		t.Fatal("the sandbox was released while its process lives")
	}
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait() // it was killed
	b.Sweep()
	if !vf.SeesProcesses() {
		if !b.Known("a") {
			t.Error("the sandbox was released by the word of another PID namespace")
		}
		b.Release("a")
	}
	b.eventually("")
}

// stuck is a world in which the driver of one PF never answers.
type stuck struct {
	*attachtest.World
	pf vf.PCIAddress
	// answer ends the silence.
	answer chan struct{}
}

func (s *stuck) Attach(ctx context.Context, a *attach.Attachment, pf vf.PF, have vf.Settings, ns *vf.Namespace) error {
	if a.PF == s.pf {
		<-s.answer
	}
	return s.World.Attach(ctx, a, pf, have, ns)
}

// TestADriverThatHangs holds up the pods of its PF, and nothing else: neither other PFs' pods nor the end of the daemon.
func TestADriverThatHangs(t *testing.T) {
	t.Attr("fault", "29")
	world := attachtest.NewWorld(2, 1)
	device := &stuck{World: world, pf: vf.PCIAddress{Bus: 1}, answer: make(chan struct{})}
	b := startWith(t, world, device, t.TempDir())
	t.Cleanup(func() { close(device.answer) })      // before the bench waits for all work
	for _, id := range []string{"hangs", "works"} { // the first PF first
		if err := b.Attach(sandbox(id), []attach.Want{wantVFIO(1, "net1")}, false); err != nil {
			t.Fatal(err)
		}
	}
	b.mustReady("works")
	b.Release("works")
	b.gone("works")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := b.Ready(ctx, "hangs"); err == nil || !strings.Contains(err.Error(), "net1 attaching (0000:01:10.0); the container is tried again") {
		t.Errorf("the gate says %v", err)
	}
	b.Sweep()
	if pods := b.Pods(); len(pods) != 1 {
		t.Errorf("pods: %+v", pods)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := b.Wait(ctx); err == nil || !strings.Contains(err.Error(), "0000:01:00.0") {
		t.Errorf("the daemon's end: %v", err)
	}
}

// TestUnseen: a VF that comes up while the daemon runs is offered as soon as it was found clean, and brought to rest before
// that where it is not.
func TestUnseen(t *testing.T) {
	t.Attr("fault", "22")
	t.Attr("fault", "31")
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	b.mustAttach("a", want(1, "net1"))
	b.world.SetVLAN(attachtest.VFAddress(0, 1), 77)
	for _, id := range []int{0, 1} { // as if both had just come
		b.pool.Release("", attachtest.VFAddress(0, id), "is looked at before it is offered")
	}
	b.Changed(inventory.Changes{
		Unseen: []vf.PCIAddress{attachtest.VFAddress(0, 1)},
		Vanished: []inventory.Vanished{{
			VF: vf.VF{Address: attachtest.VFAddress(0, 0)}, PFName: "pf0", Sandbox: "a", Reason: "is gone: its PF pf0 does not have it any more",
		}},
	})
	b.eventually("0000:01:10.0 attached a\n0000:01:10.0 net1 in \"pod\" vlan 1")
	if said := b.Pods()[0].Attachments[0].Error; said != "is gone: its PF pf0 does not have it any more" {
		t.Errorf("the pod's attachment says %q", said)
	}
	b.mustAttach("b", want(2, "net1"))
}
