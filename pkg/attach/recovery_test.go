package attach_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// restart ends a daemon as kill -9 would, as far as the world and the journal go, and starts the next.
func restart(b *bench) *bench {
	b.Helper()
	return start(b.T, b.world, b.dir)
}

// record is the journal's file of a sandbox.
func (b *bench) record(sandbox string) []byte {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, "sandboxes", sandbox+".json"))
	if err != nil {
		b.Fatal(err)
	}
	return text
}

func (b *bench) writeRecord(sandbox string, text []byte) {
	b.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, "sandboxes", sandbox+".json"), text, 0o600); err != nil {
		b.Fatal(err)
	}
}

func TestRestartKeepsLivePods(t *testing.T) {
	t.Attr("fault", "7")
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	after := restart(b)
	after.eventually("0000:01:10.0 claimed a\n0000:01:10.0 net1 in \"pod\" vlan 100")
	if refused := after.Reconcile([]attach.Live{{Sandbox: sandbox("a"), Wants: []attach.Want{want(100, "net1")}}}); len(refused) != 0 {
		t.Fatal(refused)
	}
	after.mustReady("a")
	after.eventually("0000:01:10.0 attached a\n0000:01:10.0 net1 in \"pod\" vlan 100")
	after.Release("a")
	after.eventually("")
}

func TestRestartReleasesWhatHasEnded(t *testing.T) {
	t.Attr("fault", "2")
	t.Attr("fault", "18")
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	b.writeRecord("a", bytes.Replace(b.record("a"), []byte(ownNetNS), []byte("/run/netns/gone"), 1))
	restart(b).eventually("")
}

func TestRestartAttachesLate(t *testing.T) {
	t.Attr("fault", "4")
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	refused := b.Reconcile([]attach.Live{
		{Sandbox: sandbox("a"), Wants: []attach.Want{want(7, "net1")}},
		{Sandbox: attach.Sandbox{ID: "dead", NetNS: "/run/netns/none"}, Wants: []attach.Want{want(7, "net1")}},
	})
	if len(refused) != 1 || !errors.Is(refused["dead"], vf.ErrNoNamespace) {
		t.Fatalf("refused: %v", refused)
	}
	b.mustReady("a")
}

// TestListedAgainWhileAttachedLate: a runtime may connect again at any time; the pods of its list are attached once.
func TestListedAgainWhileAttachedLate(t *testing.T) {
	const count = 40
	b := start(t, attachtest.NewWorld(1, count), t.TempDir())
	var live []attach.Live
	for i := range count {
		live = append(live, attach.Live{Sandbox: sandbox(fmt.Sprint("s", i)), Wants: []attach.Want{want(7, "net1")}})
	}
	for range 10 {
		if refused := b.Reconcile(live); len(refused) != 0 {
			t.Fatalf("refused: %v", refused)
		}
	}
	for _, one := range live {
		b.mustReady(one.Sandbox.ID)
	}
}

func TestRecordsOfAnEarlierBootAreDropped(t *testing.T) {
	t.Attr("fault", "8")
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	text := b.record("a")
	text[len(`{"version":1,"bootID":"`)] ^= 1
	b.writeRecord("a", text)
	w := attachtest.NewWorld(1, 1) // a reboot leaves every VF as it is made
	start(t, w, b.dir).eventually("")
}

func TestBrokenRecordsAreSetAside(t *testing.T) {
	t.Attr("fault", "28")
	dir := t.TempDir()
	start(t, attachtest.NewWorld(1, 1), dir)
	for name, text := range map[string]string{
		"empty.json": "", "half.json": `{"version":1,"boot`, "sense.json": `{"version":1,"bootID":"x","record":[1]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, "sandboxes", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := start(t, attachtest.NewWorld(1, 1), dir)
	b.eventually("")
	b.mustAttach("a", want(1, "net1"))
}

func TestResultsOfNobodyAreRemoved(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	b.mustAttach("a", want(1, "net1"))
	b.mustAttach("b", want(1, "net1"))
	if err := os.Remove(filepath.Join(b.dir, "sandboxes/b.json")); err != nil {
		t.Fatal(err)
	}
	if left := restart(b).files("results"); len(left) != 1 || left[0] != "a" {
		t.Errorf("results: %v", left)
	}
}

func TestUncleanVFsAreCleanedAtStart(t *testing.T) {
	t.Attr("fault", "31")
	w := attachtest.NewWorld(1, 2)
	w.SetVLAN(attachtest.VFAddress(0, 1), 100)
	start(t, w, t.TempDir()).eventually("")
}

// TestLateReleaseMissesTheNextOwner: the release of a sandbox that has nothing any more changes nothing.
func TestLateReleaseMissesTheNextOwner(t *testing.T) {
	t.Attr("fault", "15")
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	b.Release("a")
	b.eventually("")
	b.mustAttach("b", want(200, "net1"))
	b.Release("a")
	b.pool.Free("a", attachtest.VFAddress(0, 0))
	b.eventually("0000:01:10.0 attached b\n0000:01:10.0 net1 in \"pod\" vlan 200")
}

func lease(name string) attach.Want {
	w := want(7, name)
	w.Delegate = &attach.Delegate{Config: []byte(`{"type":"host-local"}`)}
	return w
}

// TestLeaseIsGivenBackAlone: an IPAM plugin that fails holds up neither the VF nor, in the end, its own lease, also over
// a restart.
func TestLeaseIsGivenBackAlone(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	b.mustAttach("a", lease("net1"))
	b.world.FailLease(errors.New("the plugin says no"))
	b.Release("a")
	b.eventually("")
	b.mustAttach("b", want(200, "net1"))
	if b.world.Leases() != 1 {
		t.Fatalf("%d leases while the plugin fails", b.world.Leases())
	}
	after := restart(b)
	after.Reconcile([]attach.Live{{Sandbox: sandbox("b"), Wants: []attach.Want{want(200, "net1")}}})
	after.mustReady("b")
	b.world.FailLease(nil)
	for range 500 {
		if b.world.Leases() == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if b.world.Leases() != 0 {
		t.Error("the lease is never given back")
	}
	after.eventually("0000:01:10.0 attached b\n0000:01:10.0 net1 in \"pod\" vlan 200")
}

func TestFailedLeaseFailsTheAttachment(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	b.world.FailLease(errors.New("no address left"))
	if err := b.Attach(sandbox("a"), []attach.Want{lease("net1")}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Ready(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "no address left") {
		t.Fatalf("the gate says %v", err)
	}
	b.world.FailLease(nil)
	b.eventually("")
}

// TestLostVFIsNotForgotten: the VF of a live pod is gone at the restart. No container starts without one: the pod gets
// another.
func TestLostVFIsNotForgotten(t *testing.T) {
	t.Attr("fault", "22")
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	b.world.Remove(attachtest.VFAddress(0, 0))
	after := restart(b)
	after.Reconcile([]attach.Live{{Sandbox: sandbox("a"), Wants: []attach.Want{want(100, "net1")}}})
	for range 500 {
		if got, err := after.Ready(t.Context(), "a"); err == nil {
			if len(got) != 1 || got[0].Address != attachtest.VFAddress(0, 1) {
				t.Fatalf("%+v", got)
			}
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("the pod gets no other VF")
}

// TestVFInTwoRecordsBelongsToTheOneThatHasIt: a kill between a VF's release and the end of its record.
func TestVFInTwoRecordsBelongsToTheOneThatHasIt(t *testing.T) {
	t.Attr("fault", "2")
	t.Attr("fault", "15")
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	text := b.record("a")
	b.Release("a")
	b.eventually("")
	b.mustAttach("b", want(200, "net1"))
	b.writeRecord("a", bytes.Replace(text, []byte(`"attachments"`), []byte(`"releasing":true,"attachments"`), 1))
	after := restart(b)
	after.Reconcile([]attach.Live{{Sandbox: sandbox("b"), Wants: []attach.Want{want(200, "net1")}}})
	after.mustReady("b")
	after.eventually("0000:01:10.0 attached b\n0000:01:10.0 net1 in \"pod\" vlan 200")
}

func TestDrift(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	if drifted := b.Drift(); len(drifted) != 0 {
		t.Fatalf("%+v", drifted)
	}
	b.world.SetVLAN(attachtest.VFAddress(0, 0), 5)
	if drifted := b.Drift(); len(drifted) != 1 || drifted[0].Sandbox.ID != "a" || len(drifted[0].Differences) != 1 {
		t.Errorf("%+v", drifted)
	}
}

// TestLostRecordOfALivePod: the VFs that lie in the pod stay its own.
func TestLostRecordOfALivePod(t *testing.T) {
	t.Attr("fault", "28")
	b := start(t, attachtest.NewWorld(1, 3), t.TempDir())
	b.mustAttach("a", want(100, "net1"), want(200, "net2"))
	if err := os.Remove(filepath.Join(b.dir, "sandboxes/a.json")); err != nil {
		t.Fatal(err)
	}
	after := start(t, b.world, t.TempDir())
	after.Reconcile([]attach.Live{{Sandbox: sandbox("a"), Wants: []attach.Want{want(100, "net1"), want(200, "net2")}}})
	if got := after.mustReady("a"); len(got) != 2 || got[0].Result == nil {
		t.Errorf("%+v", got)
	}
	after.eventually("0000:01:10.0 attached a\n0000:01:10.1 attached a\n" +
		"0000:01:10.0 net1 in \"pod\" vlan 100\n0000:01:10.1 net2 in \"pod\" vlan 200")
	after.Release("a")
	after.eventually("")
}

// TestLostRecordOfAHalfServedPod: what is there is given back, and the pod is served anew.
func TestLostRecordOfAHalfServedPod(t *testing.T) {
	t.Attr("fault", "1")
	t.Attr("fault", "28")
	b := start(t, attachtest.NewWorld(1, 3), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	after := start(t, b.world, t.TempDir())
	after.Reconcile([]attach.Live{{Sandbox: sandbox("a"), Wants: []attach.Want{want(100, "net1"), want(200, "net2")}}})
	for range 500 {
		if got, err := after.Ready(t.Context(), "a"); err == nil {
			if len(got) != 2 {
				t.Errorf("%+v", got)
			}
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("the pod is never served")
}
