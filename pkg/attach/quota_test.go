package attach_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
)

func wantOf(limit int, names ...string) attach.Want {
	w := want(1, names...)
	w.MaxPerNamespace = limit
	return w
}

func TestQuota(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 7), t.TempDir())
	b.mustAttach("a", wantOf(3, "net1", "net2"))
	err := b.Attach(sandbox("b"), []attach.Want{wantOf(3, "net1"), wantOf(3, "net2")}, false)
	if err == nil || err.Error() != `network "public": namespace prod may have 3 VFs of it on this node, has 2, and 2 are wanted: end one of its pods` {
		t.Error(err)
	}
	other := sandbox("c")
	other.Namespace = "team"
	if err := b.Attach(other, []attach.Want{wantOf(3, "net1", "net2", "net3")}, false); err != nil {
		t.Error(err)
	}
	b.mustReady("c")
	b.mustAttach("d", wantOf(3, "net1"))
	after := restart(b)
	if err := after.Attach(sandbox("e"), []attach.Want{wantOf(3, "net1")}, false); err == nil {
		t.Error("a restart forgets what the namespace has")
	}
	after.Release("d")
	after.gone("d")
	after.mustAttach("e", wantOf(3, "net1"))
}

// TestQuotaRace: sandboxes of one namespace that come at the same time get no more than it may have.
func TestQuotaRace(t *testing.T) {
	b := start(t, attachtest.NewWorld(2, 7), t.TempDir())
	var all sync.WaitGroup
	var served atomic.Int32
	for i := range 64 {
		all.Go(func() {
			if b.Attach(sandbox(string(rune('a'+i%26))+string(rune('a'+i/26))), []attach.Want{wantOf(5, "net1")}, false) == nil {
				served.Add(1)
			}
		})
	}
	all.Wait()
	if served.Load() != 5 {
		t.Errorf("%d sandboxes were served, not 5", served.Load())
	}
}
