package attach_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
)

// TestReoffer: when the config wants VFs to rest in another driver, free ones are bound to it, and what a pod has is left
// alone until it comes back.
func TestReoffer(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	had := b.mustAttach("a", want(100, "net1"))[0].Address
	began := time.Now()
	fresh := attachtest.NewWorld(1, 2).Providers()
	fresh[0].Driver = "vfio-pci"
	for _, one := range fresh[0].VFs {
		one.Rest = "vfio-pci"
	}
	b.pool.Refresh(fresh, began)
	b.Reoffer()
	until(t, func() bool {
		for _, provider := range b.pool.Providers() {
			for _, one := range provider.VFs {
				if (one.Address == had) == (one.Driver == "vfio-pci") || (one.Address == had) == (one.State == "free") {
					return false
				}
			}
		}
		return true
	})
	if got := b.mustReady("a"); got[0].Address != had || got[0].State != attach.Attached {
		t.Errorf("the pod has %+v", got)
	}
	b.Release("a")
	until(t, func() bool {
		_, one, _ := b.pool.Find(had)
		return one.Driver == "vfio-pci" && one.State == "free"
	})
}

// TestReviseOnlyWhatFailed: a pod that has something keeps what it asked for; one whose attach failed asks for what it may
// have by now.
func TestReviseOnlyWhatFailed(t *testing.T) {
	world := attachtest.NewWorld(1, 2)
	b := start(t, world, t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	b.Revise("a", []attach.Want{want(200, "net1")}, false)
	if b.Failed("a") {
		t.Error("it counts as failed")
	}
	if got := b.mustReady("a"); got[0].Settings.VLAN.ID != 100 {
		t.Errorf("it has %+v", got[0].Settings)
	}
	world.FailAttach("net1", errors.New("the kernel says no"))
	if err := b.Attach(sandbox("b"), []attach.Want{want(100, "net1")}, false); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return b.Failed("b") })
	world.FailAttach("net1", nil)
	b.Revise("b", []attach.Want{want(200, "net1")}, false)
	until(t, func() bool {
		got, err := b.Ready(t.Context(), "b")
		return err == nil && got[0].Settings.VLAN.ID == 200
	})
}

func until(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
	}
}
