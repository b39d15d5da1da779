package attach_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/journal/journaltest"
)

// onDisk starts on a disk of its own: journal, copies and run folder lie there.
func onDisk(t *testing.T, w *attachtest.World) (*bench, *journaltest.Disk) {
	t.Helper()
	disk := journaltest.NewDisk(t)
	return start(t, w, disk.Dir), disk
}

// refusedFor wants a pod to be refused with a sentence, before anything of the node was changed.
func (b *bench) refusedFor(id, sentence string) {
	b.Helper()
	before := b.draw()
	if err := b.Attach(sandbox(id), []attach.Want{want(300, "net1")}, false); err != nil {
		b.Fatal(err)
	}
	_, err := b.Ready(b.Context(), id)
	if err == nil || !strings.Contains(err.Error(), "nothing was changed: ") || !strings.Contains(err.Error(), sentence) {
		b.Errorf("the gate says %v", err)
	}
	b.eventually(before)
}

// served wants a pod that was refused before to be served after the mend.
func (b *bench) served(id string) {
	b.Helper()
	var err error
	for range 1000 {
		if _, err = b.Ready(b.Context(), id); err == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.Errorf("after the mend the gate says %v", err)
}

// nothingLeft wants no trace on the disk.
func (b *bench) nothingLeft() {
	b.Helper()
	var left []string
	for range 100 {
		b.Tidy(b.Context())
		left = append(append(b.files("results"), b.files("networks")...), append(b.files("sandboxes"), b.files("copies/sandboxes")...)...)
		if len(left) == 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.Errorf("traces are left: %v", left)
}

func TestDiskFull(t *testing.T) {
	t.Attr("fault", "27")
	b, disk := onDisk(t, attachtest.NewWorld(1, 3))
	b.mustAttach("a", want(100, "net1"))
	disk.Fill()
	b.refusedFor("b", "the disk is full: free some space there")
	b.Release("a")
	b.eventually("")
	disk.Mend()
	b.served("b")
	b.Release("b")
	b.eventually("")
	b.gone("b")
	b.nothingLeft()
}

func TestDiskReadOnly(t *testing.T) {
	t.Attr("fault", "27")
	b, disk := onDisk(t, attachtest.NewWorld(1, 3))
	b.mustAttach("a", want(100, "net1"))
	disk.ReadOnly()
	b.refusedFor("b", "the disk is read-only: mount it writable again")
	b.Release("a")
	b.gone("a")
	b.eventually("")
	if left := b.files("sandboxes"); len(left) != 1 {
		t.Fatalf("the read-only disk has %v", left)
	}
	disk.Mend()
	b.served("b") // which is given the VF that the old record names
	if left := strings.Join(b.files("sandboxes"), " "); left != "b.json" {
		t.Errorf("records: %s", left)
	}
	after := restart(b)
	after.Reconcile([]attach.Live{{Sandbox: sandbox("b"), Wants: []attach.Want{want(300, "net1")}}})
	after.mustReady("b")
	b.Tidy(t.Context())
	if left := strings.Join(b.files("results"), " "); left != "b" {
		t.Errorf("results: %s", left)
	}
}

func TestDiskMissing(t *testing.T) {
	t.Attr("fault", "27")
	b := start(t, attachtest.NewWorld(1, 3), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	b.mustAttach("b", want(200, "net1"))
	if err := os.RemoveAll(b.dir); err != nil {
		t.Fatal(err)
	}
	b.Release("a")
	b.gone("a")
	b.mustAttach("c", want(300, "net1"))
	after := restart(b)
	after.Reconcile([]attach.Live{{Sandbox: sandbox("c"), Wants: []attach.Want{want(300, "net1")}}})
	after.mustReady("c")
}

// TestRunFolderFull: what tells a pod its networks has no room.
func TestRunFolderFull(t *testing.T) {
	disk := journaltest.NewDisk(t)
	w := attachtest.NewWorld(1, 2)
	b := startIn(t, w, w, t.TempDir(), disk.Dir)
	b.mustAttach("a", want(100, "net1"))
	disk.Fill()
	b.refusedFor("b", "make room for the results of sandbox b")
	b.Release("a")
	b.eventually("")
	disk.Mend()
	b.served("b")
}

// TestLivePodsSurviveARestartOnABrokenDisk: nothing can be written down again, and nobody loses a VF for that.
func TestLivePodsSurviveARestartOnABrokenDisk(t *testing.T) {
	for fault, fail := range map[string]func(*journaltest.Disk){"Full": (*journaltest.Disk).Fill, "ReadOnly": (*journaltest.Disk).ReadOnly} {
		t.Run(fault, func(t *testing.T) {
			b, disk := onDisk(t, attachtest.NewWorld(1, 3))
			b.mustAttach("a", want(100, "net1"))
			before := b.draw()
			results := filepath.Join(b.dir, "results", "a", "net1.json")
			if err := os.Remove(results); err != nil {
				t.Fatal(err)
			}
			fail(disk)
			after := restart(b)
			after.Reconcile([]attach.Live{{Sandbox: sandbox("a"), Wants: []attach.Want{want(100, "net1")}}})
			after.mustReady("a")
			after.eventually(before)
			disk.Mend()
			after.Tidy(t.Context())
			if _, err := os.Stat(results); err != nil {
				t.Errorf("what could not be written is not written after the mend: %v", err)
			}
			after.Release("a")
			after.eventually("")
			after.gone("a")
			after.nothingLeft()
		})
	}
}

// TestOldRecordDoesNotTakeTheNextOwnersVF: the disk could not let the first owner's record go, and the daemon was killed
// before it was well again.
func TestOldRecordDoesNotTakeTheNextOwnersVF(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	old := b.record("a")
	b.Release("a")
	b.gone("a")
	b.mustAttach("b", want(200, "net1"))
	b.writeRecord("a", []byte(strings.Replace(string(old), ownNetNS, "/run/netns/gone", 1)))
	after := restart(b)
	after.Reconcile([]attach.Live{{Sandbox: sandbox("b"), Wants: []attach.Want{want(200, "net1")}}})
	after.mustReady("b")
	after.gone("a")
	after.eventually("0000:01:10.0 attached b\n0000:01:10.0 net1 in \"pod\" vlan 200")
}

// TestDiskHangs: a write that does not end holds up its own pod, and the way back of none.
func TestDiskHangs(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 3), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	hang := b.HoldWrites("a")
	released := time.Now()
	b.Release("a")
	if took := time.Since(released); took > 100*time.Millisecond {
		t.Errorf("the hook waits for %s", took)
	}
	b.mustAttach("b", want(200, "net1"))
	b.eventually("0000:01:10.0 releasing a\n0000:01:10.1 attached b\n0000:01:10.1 net1 in \"pod\" vlan 200")
	hang()
	b.gone("a")
	b.eventually("0000:01:10.1 attached b\n0000:01:10.1 net1 in \"pod\" vlan 200")
}

// TestDiskHangsForAnAttach: the gate answers in its time, and the pod is released although its write never ended.
func TestDiskHangsForAnAttach(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	hold := b.world.Hold()
	if err := b.Attach(sandbox("a"), []attach.Want{want(100, "net1")}, false); err != nil {
		t.Fatal(err)
	}
	hang := b.HoldWrites("a")
	hold()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := b.Ready(ctx, "a"); err == nil || !strings.Contains(err.Error(), "still at work") {
		t.Errorf("the gate says %v", err)
	}
	b.Release("a")
	b.eventually("0000:01:10.0 releasing a") // home, and clean; the journal does not say so yet
	hang()
	b.gone("a")
	b.eventually("")
}

// TestRecordCannotBeSetAside: a record that makes no sense on a read-only disk is passed over.
func TestRecordCannotBeSetAside(t *testing.T) {
	b, disk := onDisk(t, attachtest.NewWorld(1, 1))
	b.mustAttach("a", want(100, "net1"))
	text := b.record("a")
	b.writeRecord("b", text)
	disk.ReadOnly()
	after := restart(b)
	after.Reconcile([]attach.Live{{Sandbox: sandbox("a"), Wants: []attach.Want{want(100, "net1")}}})
	after.mustReady("a")
	disk.Mend()
	if err := os.Remove(filepath.Join(b.dir, "sandboxes/b.json")); err != nil {
		t.Error(err)
	}
}
