package attach

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// restart ends a daemon as kill -9 would, as far as the world and the journal go, and starts the next.
func restart(b *bench, pfs, vfs int) *bench {
	b.Helper()
	return start(b.T, b.world, b.dir, pfs, vfs)
}

func TestRestartKeepsLivePods(t *testing.T) {
	b := start(t, newWorld(1, 2), t.TempDir(), 1, 2)
	b.mustAttach("a", want(100, "net1"))
	after := restart(b, 1, 2)
	after.eventually("0000:01:10.0 claimed a\n0000:01:10.0 net1 in \"pod\" vlan 100")
	if refused := after.Reconcile([]Live{{Sandbox: sandbox("a"), Wants: []Want{want(100, "net1")}}}); len(refused) != 0 {
		t.Fatal(refused)
	}
	after.mustReady("a")
	after.eventually("0000:01:10.0 attached a\n0000:01:10.0 net1 in \"pod\" vlan 100")
	after.Release("a")
	after.eventually("")
}

func TestRestartReleasesWhatHasEnded(t *testing.T) {
	b := start(t, newWorld(1, 2), t.TempDir(), 1, 2)
	b.mustAttach("a", want(100, "net1"))
	b.mutex.Lock()
	e := b.entries["a"]
	e.sandbox.NetNS = filepath.Join(t.TempDir(), "gone")
	b.mutex.Unlock()
	if err := b.put(e); err != nil {
		t.Fatal(err)
	}
	restart(b, 1, 2).eventually("")
}

func TestRestartAttachesLate(t *testing.T) {
	b := start(t, newWorld(1, 1), t.TempDir(), 1, 1)
	refused := b.Reconcile([]Live{
		{Sandbox: sandbox("a"), Wants: []Want{want(7, "net1")}},
		{Sandbox: Sandbox{ID: "dead", NetNS: "/run/netns/none"}, Wants: []Want{want(7, "net1")}},
	})
	if len(refused) != 1 || !errors.Is(refused["dead"], vf.ErrNoNamespace) {
		t.Fatalf("refused: %v", refused)
	}
	b.mustReady("a")
}

func TestRecordsOfAnEarlierBootAreDropped(t *testing.T) {
	b := start(t, newWorld(1, 1), t.TempDir(), 1, 1)
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
	w := newWorld(1, 1) // a reboot leaves every VF as it is made
	start(t, w, b.dir, 1, 1).eventually("")
}

func TestBrokenRecordsAreSetAside(t *testing.T) {
	dir := t.TempDir()
	start(t, newWorld(1, 1), dir, 1, 1)
	for name, text := range map[string]string{
		"empty.json": "", "half.json": `{"version":1,"boot`, "sense.json": `{"version":1,"bootID":"x","record":[1]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, "sandboxes", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := start(t, newWorld(1, 1), dir, 1, 1)
	b.eventually("")
	b.mustAttach("a", want(1, "net1"))
}

func TestUncleanVFsAreCleanedAtStart(t *testing.T) {
	w := newWorld(1, 2)
	w.vfs[vfAddress(0, 1)].settings.VLAN.ID = 100
	start(t, w, t.TempDir(), 1, 2).eventually("")
}

// TestLateReleaseMissesTheNextOwner: the release of a sandbox that has nothing any more changes nothing.
func TestLateReleaseMissesTheNextOwner(t *testing.T) {
	b := start(t, newWorld(1, 1), t.TempDir(), 1, 1)
	b.mustAttach("a", want(100, "net1"))
	b.Release("a")
	b.eventually("")
	b.mustAttach("b", want(200, "net1"))
	b.Release("a")
	b.pool.Free("a", vfAddress(0, 0))
	b.eventually("0000:01:10.0 attached b\n0000:01:10.0 net1 in \"pod\" vlan 200")
}
