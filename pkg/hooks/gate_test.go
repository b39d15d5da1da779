package hooks_test

import (
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
)

// configured connects the plugin to a runtime of another name and version.
func (r *runtime) configured(name, version string) {
	r.Helper()
	if _, err := r.plugin.Configure(r.Context(), "", name, version); err != nil {
		r.Fatal(err)
	}
}

// TestRefusalIsLeftToTheGate: a runtime that leaks refused sandboxes hears the refusal at the container, in the same words.
func TestRefusalIsLeftToTheGate(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(1, 1), nil, true)
	for _, networks := range []string{`[{network: public, vlan: 5}]`, "private", "public,public"} {
		one := pod("s1", "prod", networks)
		r.configured("containerd", "2.4.2")
		said := r.run(one)
		if said == nil {
			t.Fatalf("%s was not refused", networks)
		}
		r.configured("containerd", "v2.3.2")
		if err := r.run(one); err != nil {
			t.Errorf("the sandbox was refused: %v", err)
		}
		if r.free() != 1 || r.node.Attacher.Known("s1") {
			t.Errorf("a refused sandbox is known; %d VFs are free", r.free())
		}
		for range 2 {
			if _, err := r.create(one, "app"); err == nil || sentenceOf(err) != sentenceOf(said) {
				t.Errorf("the gate says %v, the sandbox is told %v", err, said)
			}
		}
		r.end(one)
		if r.free() != 1 || r.node.Attacher.Known("s1") {
			t.Errorf("after its end a refused sandbox is known; %d VFs are free", r.free())
		}
	}
}

// sentenceOf is what the plugin says in an error, without what the runtime puts before it.
func sentenceOf(err error) string {
	text := err.Error()
	if i := strings.Index(text, "nri-sriov: "); i >= 0 {
		return text[i:]
	}
	return text
}

// TestRefusalAtTheGateIsNotForEver: a VF that came free meanwhile goes to the pod that was refused for want of it.
func TestRefusalAtTheGateIsNotForEver(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(1, 1), nil, true)
	r.configured("containerd", "2.2.5")
	first, second := pod("s1", "prod", "public"), pod("s2", "prod", "public")
	for _, one := range []error{r.run(first), r.run(second)} {
		if one != nil {
			t.Fatal(one)
		}
	}
	if _, err := r.create(first, "app"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.create(second, "app"); err == nil || !strings.Contains(err.Error(), `network "public": no VF free`) {
		t.Fatalf("the gate says %v", err)
	}
	r.end(first)
	r.eventuallyFree(1)
	if adjustment, err := r.create(second, "app"); err != nil || len(adjustment.GetMounts()) != 1 {
		t.Fatalf("adjustment: %v, %v", adjustment, err)
	}
	r.end(second)
	r.eventuallyFree(1)
}
