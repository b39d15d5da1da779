package attach_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// restart ends a daemon as kill -9 would, as far as the world and the journal go, and starts the next.
func restart(b *bench) *bench {
	b.Helper()
	return start(b.T, b.world, b.dir)
}

func TestRestartKeepsLivePods(t *testing.T) {
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
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	name := filepath.Join(b.dir, "sandboxes/a.json")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(ownNetNS), []byte("/run/netns/gone"), 1)
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	restart(b).eventually("")
}

func TestRestartAttachesLate(t *testing.T) {
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

func TestRecordsOfAnEarlierBootAreDropped(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	name := filepath.Join(b.dir, "sandboxes/a.json")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := len(`{"version":1,"bootID":"`)
	text[at] ^= 1
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	w := attachtest.NewWorld(1, 1) // a reboot leaves every VF as it is made
	start(t, w, b.dir).eventually("")
}

func TestBrokenRecordsAreSetAside(t *testing.T) {
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

func TestUncleanVFsAreCleanedAtStart(t *testing.T) {
	w := attachtest.NewWorld(1, 2)
	w.SetVLAN(attachtest.VFAddress(0, 1), 100)
	start(t, w, t.TempDir()).eventually("")
}

// TestLateReleaseMissesTheNextOwner: the release of a sandbox that has nothing any more changes nothing.
func TestLateReleaseMissesTheNextOwner(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	b.Release("a")
	b.eventually("")
	b.mustAttach("b", want(200, "net1"))
	b.Release("a")
	b.pool.Free("a", attachtest.VFAddress(0, 0))
	b.eventually("0000:01:10.0 attached b\n0000:01:10.0 net1 in \"pod\" vlan 200")
}
