package hooks_test

import (
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
)

// TestReconfigure: pods that come later may name what the config says now; those that have VFs keep them, though their
// network is no more.
func TestReconfigure(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(1, 3), nil, true)
	live := pod("s1", "prod", "public")
	if err := r.run(live); err != nil {
		t.Fatal(err)
	}
	other := config.Default()
	other.Networks[0].Name = "other"
	r.plugin.Reconfigure(other)
	if adjustment, err := r.create(live, "app"); err != nil || len(adjustment.GetMounts()) != 1 {
		t.Errorf("the live pod's container: %v", err)
	}
	if err := r.run(pod("s2", "prod", "public")); err == nil || !strings.Contains(err.Error(), `network "public": the node does not define it; namespace "prod" may use other`) {
		t.Errorf("a later pod is told %v", err)
	}
	later := pod("s3", "prod", "other")
	if err := r.run(later); err != nil {
		t.Fatal(err)
	}
	if _, err := r.create(later, "app"); err != nil {
		t.Error(err)
	}
	for _, one := range []string{"s1", "s3"} {
		r.end(pod(one, "prod", "other"))
	}
	r.eventuallyFree(3)
}

// TestRefusalsAreTold with the reason that they count under.
func TestRefusalsAreTold(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(1, 1), nil, true)
	refusals := r.refusals()
	if err := r.run(pod("s0", "prod", "public")); err != nil {
		t.Fatal(err)
	}
	unfit := pod("s9", "prod", "public")
	unfit.RuntimeHandler = "runsc"
	if err := r.run(unfit); err == nil {
		t.Error("gVisor is served")
	}
	for id, networks := range map[string]string{"s1": "[{", "s2": "none", "s3": "public", "s4": "[{network: public, required: [CUSTOM_NO]}]"} {
		if err := r.run(pod(id, "prod", networks)); err == nil {
			t.Errorf("%s is served", networks)
		}
	}
	told := refusals()
	reasons := map[hooks.Reason]int{}
	for _, one := range told {
		reasons[one.Reason]++
		if one.Namespace != "prod" || one.Name == "" || one.Container != "" || one.Err == nil {
			t.Errorf("told %+v", one)
		}
	}
	for _, want := range []hooks.Reason{hooks.InvalidRequest, hooks.NotAllowed, hooks.NoFreeVF, hooks.UnknownTrait, hooks.UnfitSandbox} {
		if reasons[want] != 1 {
			t.Errorf("%s was told %d times: %+v", want, reasons[want], told)
		}
	}
	r.end(pod("s0", "prod", "public"))
	r.eventuallyFree(1)
}
