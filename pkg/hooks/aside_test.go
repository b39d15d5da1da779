package hooks_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
)

// TestTwoDaemons: the second, which waits for the end of the first, refuses nothing that the first serves. When the first
// does not answer, pods are refused; when it has ended, its pods are the second's.
func TestTwoDaemons(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(1, 3), nil, false)
	var served atomic.Bool
	r.plugin.StandAside(func(context.Context) bool { return served.Load() })
	one, gone := pod("s1", "prod", "public"), pod("s2", "prod", "public")
	if err := r.run(one); err == nil || !strings.Contains(err.Error(), "the daemon is still starting") {
		t.Errorf("nobody serves: %v", err)
	}
	served.Store(true)
	for _, each := range []error{r.run(one), r.run(gone)} {
		if each != nil {
			t.Errorf("the first serves: %v", each)
		}
	}
	if adjustment, err := r.create(one, "app"); err != nil || len(adjustment.GetMounts()) != 0 {
		t.Errorf("the first serves: %v, %v", adjustment, err)
	}
	r.end(gone)
	served.Store(false)
	if _, err := r.create(one, "app"); err == nil {
		t.Error("nobody serves, and a container is created")
	}
	r.plugin.Start(r.node)
	if adjustment, err := r.create(one, "again"); err != nil || len(adjustment.GetMounts()) != 1 {
		t.Errorf("the second serves: %v, %v", adjustment, err)
	}
	if !r.node.Attacher.Known("s1") || r.node.Attacher.Known("s2") {
		t.Error("the second does not know what lives")
	}
	r.end(one)
	r.eventuallyFree(3)
}
