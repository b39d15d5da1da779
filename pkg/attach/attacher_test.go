package attach_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAttachAndRelease(t *testing.T) {
	t.Attr("fault", "17")
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	got := b.mustAttach("a", want(100, "net1"))
	if len(got) != 1 || got[0].State != attach.Attached || got[0].Address != attachtest.VFAddress(0, 0) {
		t.Fatalf("attachments: %+v", got)
	}
	b.eventually("0000:01:10.0 attached a\n0000:01:10.0 net1 in \"pod\" vlan 100")
	result := `{"cniVersion":"1.1.0","interfaces":[{"mac":"02:00:00:00:00:01","mtu":1500,"name":"net1","pciID":"0000:01:10.0","sandbox":"/proc/self/ns/net"}]}`
	if diff := cmp.Diff(result, string(got[0].Result)); diff != "" {
		t.Error(diff)
	}
	text, err := os.ReadFile(filepath.Join(b.dir, "results/a/net1.json"))
	if err != nil || strings.TrimSpace(string(text)) != string(got[0].Result) {
		t.Errorf("result file: %s, %v", text, err)
	}
	b.Release("a")
	b.Release("a")
	b.eventually("")
	b.gone("a")
	if left := append(b.files("results"), b.files("sandboxes")...); len(left) != 0 {
		t.Errorf("traces left: %v", left)
	}
}

func TestAttachTwiceIsOnce(t *testing.T) {
	t.Attr("fault", "3")
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	b.mustAttach("a", want(0, "net1"))
	b.mustAttach("a", want(0, "net1"))
	b.eventually("0000:01:10.0 attached a\n0000:01:10.0 net1 in \"pod\" vlan 0")
}

func TestRefusalNamesEachPF(t *testing.T) {
	b := start(t, attachtest.NewWorld(2, 1), t.TempDir())
	b.mustAttach("a", want(0, "net1"))
	b.mustAttach("b", want(0, "net1"))
	err := b.Attach(sandbox("c"), []attach.Want{want(0, "net1")}, false)
	if !errors.Is(err, inventory.ErrNoFreeVF) || err.Error() != `network "public": no VF free: pf0 1 of 1 in use; pf1 1 of 1 in use` {
		t.Errorf("refusal: %v", err)
	}
	if b.Known("c") {
		t.Error("a refused sandbox is known")
	}
}

func TestFailureGivesAllBack(t *testing.T) {
	t.Attr("fault", "26")
	b := start(t, attachtest.NewWorld(2, 1), t.TempDir())
	b.world.FailAttach("bad", errors.New("the driver says no"))
	if err := b.Attach(sandbox("a"), []attach.Want{want(1, "net1"), want(2, "bad")}, false); err != nil {
		t.Fatal(err)
	}
	_, err := b.Ready(t.Context(), "a")
	if err == nil || !strings.Contains(err.Error(), `network "public": attach 0000:02:10.0 as bad: the driver says no`) {
		t.Fatalf("the gate says %v", err)
	}
	b.eventually("")
	b.world.FailAttach("bad", nil)
	for range 500 { // the next container tries anew, once all is back
		if _, err = b.Ready(t.Context(), "a"); err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.Release("a")
	b.eventually("")
}

func TestGateWaitsWithinItsBudget(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	release := b.world.Hold()
	if err := b.Attach(sandbox("a"), []attach.Want{want(0, "net1")}, false); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := b.Ready(ctx, "a"); err == nil || !strings.Contains(err.Error(), "net1 attaching (0000:01:10.0)") {
		t.Fatalf("the gate says %v", err)
	}
	release()
	b.mustReady("a")
}

func TestReleaseCallsAnAttachOff(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	defer b.world.Hold()()
	if err := b.Attach(sandbox("a"), []attach.Want{want(100, "net1")}, false); err != nil {
		t.Fatal(err)
	}
	b.Release("a")
	b.eventually("")
}

func TestClaimWaitsForRelease(t *testing.T) {
	t.Attr("fault", "31")
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	b.world.FailRelease("net1", errors.New("not yet"))
	b.Release("a")
	if err := b.Attach(sandbox("b"), []attach.Want{want(200, "net1")}, false); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := b.Ready(ctx, "b"); err == nil || !strings.Contains(err.Error(), "waiting for VFs that are in release") {
		t.Fatalf("the gate says %v", err)
	}
	b.world.FailRelease("net1", nil)
	b.mustReady("b")
	b.eventually("0000:01:10.0 attached b\n0000:01:10.0 net1 in \"pod\" vlan 200")
}

func TestVanishedVFEndsItsRelease(t *testing.T) {
	t.Attr("fault", "22")
	t.Attr("fault", "23")
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	b.world.Remove(attachtest.VFAddress(0, 0))
	b.Release("a")
	b.eventually("0000:01:10.0 excluded ")
}

// TestVFThatIsNotThereIsPassedOver: the first try finds a VF gone, the next takes another.
func TestVFThatIsNotThereIsPassedOver(t *testing.T) {
	t.Attr("fault", "20")
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	b.world.Remove(attachtest.VFAddress(0, 0))
	if err := b.Attach(sandbox("a"), []attach.Want{want(100, "net1")}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Ready(t.Context(), "a"); !errors.Is(err, attach.ErrGone) {
		t.Fatal(err)
	}
	for range 500 {
		if got, err := b.Ready(t.Context(), "a"); err == nil {
			if got[0].Address != attachtest.VFAddress(0, 1) {
				t.Errorf("%+v", got)
			}
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("the pod never gets the other VF")
}

func TestJournalFailsClosed(t *testing.T) {
	t.Attr("fault", "27")
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	journal := filepath.Join(b.dir, "sandboxes")
	if err := errors.Join(os.Remove(journal), os.WriteFile(journal, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := b.Attach(sandbox("a"), []attach.Want{want(100, "net1")}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Ready(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "nothing was changed: write the journal") {
		t.Fatalf("the gate says %v", err)
	}
	b.eventually("")
}

// TestRace lets sandboxes come and go at the same time; at the end every VF is free and clean.
func TestRace(t *testing.T) {
	t.Attr("fault", "16")
	const pfs, vfs, sandboxes = 2, 3, 24
	b := start(t, attachtest.NewWorld(pfs, vfs), t.TempDir())
	var all sync.WaitGroup
	for i := range sandboxes {
		all.Go(func() {
			id := fmt.Sprint("s", i)
			for {
				err := b.Attach(sandbox(id), []attach.Want{want(uint16(i), "net1"), want(uint16(i), "net2")}, i%2 == 0)
				if err == nil {
					break
				}
				if !errors.Is(err, inventory.ErrNoFreeVF) {
					t.Error(err)
					return
				}
				time.Sleep(time.Millisecond)
			}
			if i%3 != 0 {
				b.mustReady(id)
			}
			b.Release(id)
		})
	}
	all.Wait()
	b.eventually("")
}
