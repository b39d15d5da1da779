package inventory

import (
	"errors"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// reconfigured is a pool on a node whose config changes.
type reconfigured struct {
	*testing.T
	*Pool
	host *vf.Host
}

// use has the pool follow another config, and takes what was not looked at yet for clean.
func (r *reconfigured) use(providers ...config.Provider) {
	r.Helper()
	began := time.Now()
	read, _, err := Read(r.host, &config.Node{Providers: providers, OfferAll: len(providers) == 0}, Remembered{CNILocks: r.TempDir()})
	if err != nil {
		r.Fatal(err)
	}
	if r.Pool == nil {
		r.Pool = NewPool(read)
		return
	}
	for _, address := range r.Refresh(read, began).Unseen {
		r.Free("", address)
	}
}

func (r *reconfigured) is(id int) VF {
	r.Helper()
	address, err := vf.ParsePCIAddress(readVF(id))
	if err != nil {
		r.Fatal(err)
	}
	_, one, ok := r.Find(address)
	if !ok {
		r.Fatalf("VF %d is gone", id)
	}
	return one
}

func (r *reconfigured) states(want ...State) {
	r.Helper()
	for id, state := range want {
		if one := r.is(id); one.State != state {
			r.Errorf("VF %d is %s (%s), not %s", id, one.State, one.Reason, state)
		}
	}
}

func newReconfigured(t *testing.T) *reconfigured {
	host, _, _ := realHost(t, 3)
	r := &reconfigured{T: t, host: host}
	r.use(config.Provider{PF: "pf"})
	r.states(Free, Free, Free)
	return r
}

// given gives VF 0 to a sandbox.
func (r *reconfigured) given() {
	r.Helper()
	if !r.Adopt("s1", r.is(0).Address, Group{}) {
		r.Fatal("VF 0 is not to be had")
	}
	r.Attach("s1", r.is(0).Address)
}

// TestProviderRemovedInUse: what a pod has stays its own, nothing else is given, and what comes back is not offered again,
// until the provider is.
func TestProviderRemovedInUse(t *testing.T) {
	r := newReconfigured(t)
	r.given()
	r.use(config.Provider{PF: "other"})
	r.states(Attached, Excluded, Excluded)
	if _, err := r.Claim(Request{Sandbox: "s2", Groups: []Group{{Name: "public", Count: 1}}}); !errors.Is(err, ErrNoFreeVF) {
		t.Errorf("a claim: %v", err)
	}
	r.Free("s1", r.is(0).Address)
	r.states(Excluded, Excluded, Excluded)
	r.use(config.Provider{PF: "pf"})
	r.states(Free, Free, Free)
}

// TestVFsNarrowedInUse: the same for a VF that is taken out of the provider's vfs.
func TestVFsNarrowedInUse(t *testing.T) {
	r := newReconfigured(t)
	r.given()
	only, err := config.ParseIDSet("1")
	if err != nil {
		t.Fatal(err)
	}
	r.use(config.Provider{PF: "pf", VFs: only})
	r.states(Attached, Free, Excluded)
	r.Free("s1", r.is(0).Address)
	r.states(Excluded, Free, Excluded)
}

// TestDriverChangedInUse: what a pod has is not touched; where it is to rest is told to whoever brings it back.
func TestDriverChangedInUse(t *testing.T) {
	r := newReconfigured(t)
	r.given()
	r.use(config.Provider{PF: "pf", Driver: "vfio-pci"})
	r.states(Attached, Free, Free)
	for id := range 3 {
		if one := r.is(id); one.Rest != "vfio-pci" || one.Driver != "igbvf" {
			t.Errorf("VF %d rests in %q, is bound to %q", id, one.Rest, one.Driver)
		}
	}
	r.use(config.Provider{PF: "pf"})
	if one := r.is(0); one.Rest != "" || one.State != Attached {
		t.Errorf("and back: %+v", one)
	}
}

// TestTraitsRenamed: a trait that no config names any more, and no PF has, is as unknown as a misspelt one.
func TestTraitsRenamed(t *testing.T) {
	r := newReconfigured(t)
	claim := func(trait string) error {
		_, err := r.Claim(Request{Sandbox: "s2", Groups: []Group{{Name: "public", Count: 1, Required: []string{trait}}}})
		return err
	}
	r.Name([]string{"CUSTOM_OLD"})
	if err := claim("CUSTOM_OLD"); !errors.Is(err, ErrNoFreeVF) {
		t.Errorf("named: %v", err)
	}
	r.Name([]string{"CUSTOM_NEW"})
	if err := claim("CUSTOM_OLD"); !errors.Is(err, ErrUnknownTrait) {
		t.Errorf("not named any more: %v", err)
	}
}
