package inventory

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// sketch draws a pool as a person reads it, its line of free VFs included.
func sketch(p *Pool) string {
	var text strings.Builder
	for _, provider := range p.providers {
		fmt.Fprintf(&text, "%s: %s %v\n", provider.PF.Name(), provider.Reason, provider.Traits)
		if whole := provider.Whole; whole != nil {
			fmt.Fprintf(&text, "  whole %s %s %s\n", whole.State, whole.Sandbox, whole.Reason)
		}
		for _, one := range provider.VFs {
			fmt.Fprintf(&text, "  %d %s %s %s %v %s\n", one.ID, one.State, one.Sandbox, one.Driver, one.Interfaces, one.Reason)
		}
		for one := provider.stock.first; one != nil; one = one.after {
			fmt.Fprintf(&text, "  next %d\n", one.ID)
		}
	}
	return text.String()
}

// refresh takes a reading over that began just now, as does what is changed next after it.
func refresh(p *Pool, fresh []*Provider) Changes {
	return p.Refresh(fresh, time.Now())
}

func claimOne(t *testing.T, p *Pool, sandbox string) vf.PCIAddress {
	t.Helper()
	claim, err := p.Claim(Request{Sandbox: sandbox, Groups: []Group{group(1)}})
	if err != nil || granted(t, claim) == "waits" {
		t.Fatalf("%v, %v", claim, err)
	}
	p.Attach(sandbox, claim.VFs[0][0].Address)
	return claim.VFs[0][0].Address
}

func exclude(one *VF, reason string) { one.State, one.Reason, one.seen = Excluded, reason, reason }

func TestRefreshOfTheSameNode(t *testing.T) {
	p := NewPool(node([]int{3, 2}))
	first := claimOne(t, p, "a")
	claimOne(t, p, "b")
	p.Free("a", first) // and so the last in line
	before := sketch(p)
	if changes := refresh(p, node([]int{3, 2})); len(changes.Vanished)+len(changes.Unseen) != 0 || changes.Again {
		t.Errorf("%+v", changes)
	}
	if diff := cmp.Diff(before, sketch(p)); diff != "" {
		t.Error(diff)
	}
}

// TestVFsComeAndGo: new ones are looked at first, free ones leave, one that a pod has stays and is told of once.
func TestVFsComeAndGo(t *testing.T) {
	t.Attr("fault", "22")
	p := NewPool(node([]int{2}))
	owned := claimOne(t, p, "a")
	claim, err := p.Claim(Request{Sandbox: "b", Groups: []Group{group(1)}})
	if err != nil {
		t.Fatal(err)
	}
	p.Release("b", claim.VFs[0][0].Address, "")
	waiting, err := p.Claim(Request{Sandbox: "c", Groups: []Group{group(1)}})
	if err != nil {
		t.Fatal(err)
	}
	changes := refresh(p, node([]int{4, 1}))
	var unseen []string
	for _, one := range changes.Unseen {
		unseen = append(unseen, one.String())
	}
	if text := strings.Join(unseen, " "); text != "0000:01:10.2 0000:01:10.3 0000:02:10.0" || len(changes.Vanished) != 0 || changes.Again {
		t.Errorf("%s, %+v", text, changes)
	}
	if got := granted(t, waiting); got != "waits" {
		t.Errorf("a VF that nobody has looked at: %s", got)
	}
	p.Free("", changes.Unseen[2])
	if got := granted(t, waiting); got != "2" {
		t.Error(got)
	}
	changes = refresh(p, node([]int{0}))
	var lost []string
	for _, one := range changes.Vanished {
		lost = append(lost, fmt.Sprintf("%s of %s had %s: %s", one.Sandbox, one.PFName, one.VF.Address, one.Reason))
	}
	want := strings.Join([]string{
		"a of enp1s0 had 0000:01:10.0: is gone: its PF enp1s0 does not have it any more",
		"b of enp1s0 had 0000:01:10.1: is gone: its PF enp1s0 does not have it any more",
		"c of enp2s0 had 0000:02:10.0: is gone: its PF enp2s0 is gone",
	}, "\n")
	if diff := cmp.Diff(want, strings.Join(lost, "\n")); diff != "" {
		t.Error(diff)
	}
	if changes = refresh(p, node([]int{0})); len(changes.Vanished) != 0 {
		t.Errorf("told again: %+v", changes)
	}
	if _, one, ok := p.Find(owned); !ok || one.State != Attached || one.Sandbox != "a" || !strings.HasPrefix(one.Reason, "is gone") {
		t.Errorf("%+v", one)
	}
	p.Exclude("a", owned, "is gone")
	p.Free("b", claim.VFs[0][0].Address)
	p.Unclaim("c")
	if text := sketch(p); text != "enp1s0:  [CUSTOM_DEVICE_NETDEV CUSTOM_DEVICE_VFIO]\n" {
		t.Error(text)
	}
}

// TestVFThatIsBack: another device at the address of one that a pod has had is not the pod's.
func TestVFThatIsBack(t *testing.T) {
	t.Attr("fault", "22")
	instance := func(number uint64) []*Provider {
		n := node([]int{1})
		n[0].VFs[0].Instance = number
		return n
	}
	p := NewPool(instance(7))
	owned := claimOne(t, p, "a")
	if changes := refresh(p, instance(7)); len(changes.Vanished) != 0 {
		t.Errorf("%+v", changes)
	}
	changes := refresh(p, instance(8))
	if len(changes.Vanished) != 1 || changes.Vanished[0].Reason != replacedReason {
		t.Errorf("between two readings: %+v", changes)
	}
	if changes = refresh(p, node([]int{0})); len(changes.Vanished) != 1 {
		t.Errorf("it is gone again: %+v", changes)
	}
	if changes = refresh(p, instance(9)); len(changes.Vanished) != 0 || !strings.Contains(sketch(p), "0 attached a  [v] is gone: another device") {
		t.Errorf("%+v\n%s", changes, sketch(p))
	}
	p.Free("a", owned)
	if text := sketch(p); !strings.Contains(text, "0 free") {
		t.Error(text)
	}
	changes = refresh(p, instance(10))
	if text := sketch(p); len(changes.Unseen) != 1 || !strings.Contains(text, "0 releasing   [v] "+unseenReason) {
		t.Errorf("a free one is another device: %+v\n%s", changes, text)
	}
}

// TestExclusionsFollowTheNode: what the host takes is not offered any more, and is looked at when it comes back.
func TestExclusionsFollowTheNode(t *testing.T) {
	p := NewPool(node([]int{2}))
	owned := claimOne(t, p, "a")
	fresh := node([]int{2})
	exclude(fresh[0].VFs[0], "has no interface in the host")
	exclude(fresh[0].VFs[1], "v1 has an address of the host")
	if changes := refresh(p, fresh); len(changes.Vanished)+len(changes.Unseen) != 0 || changes.Again {
		t.Errorf("%+v", changes)
	}
	if _, err := p.Claim(Request{Sandbox: "b", Groups: []Group{group(1)}}); err == nil || !strings.Contains(err.Error(), "enp1s0 1 of 1 in use") {
		t.Error(err)
	}
	fresh = node([]int{2})
	fresh[0].VFs[1].Driver, fresh[0].VFs[1].Interfaces = "igbvf", []string{"renamed"}
	changes := refresh(p, fresh)
	if len(changes.Unseen) != 1 {
		t.Errorf("%+v", changes)
	}
	fresh = node([]int{2})
	exclude(fresh[0].VFs[1], "v1 is a port of a bridge or bond of the host")
	refresh(p, fresh)
	p.Free("", changes.Unseen[0])
	if _, one, _ := p.Find(changes.Unseen[0]); one.State != Excluded {
		t.Errorf("the host's again before anybody had looked: %+v", one)
	}
	p.Free("a", owned)
	if text := sketch(p); !strings.Contains(text, "0 free") || !strings.Contains(text, "next 0") {
		t.Error(text)
	}
}

// TestReadingsThatAreTooOld: what changed while the node was read is left for the next reading.
func TestReadingsThatAreTooOld(t *testing.T) {
	p := NewPool(node([]int{2, 1}))
	owned := claimOne(t, p, "a")
	began := time.Now()
	fresh := node([]int{2, 1})
	exclude(fresh[0].VFs[0], "has no interface in the host")
	p.Free("a", owned)
	if changes := p.Refresh(fresh, began); !changes.Again || strings.Contains(sketch(p), "excluded") {
		t.Errorf("%+v\n%s", changes, sketch(p))
	}
	changes := p.Refresh(node([]int{0, 1}), began)
	if text := sketch(p); !changes.Again || !strings.Contains(text, "0 free") || strings.Contains(text, "1 free") {
		t.Errorf("it was seen nowhere: %+v\n%s", changes, text)
	}
	refresh(p, node([]int{2, 1}))
	before := sketch(p)
	if changes := p.Refresh(node([]int{1}), began); !changes.Again || sketch(p) != before {
		t.Errorf("one that began before the last: %+v\n%s", changes, sketch(p))
	}
}

func withWhole(n []*Provider) []*Provider {
	for _, one := range n {
		one.Whole = &VF{State: Free, VF: vf.VF{Address: one.PF.Address, PF: one.PF.Address, ID: -1, Interfaces: []string{one.PF.Interface}}}
	}
	return n
}

// TestPFThatAPodHas: while it is away a reading says nothing about it but that its VFs are no more.
func TestPFThatAPodHas(t *testing.T) {
	t.Attr("fault", "23")
	p := NewPool(withWhole(node([]int{2, 0})))
	claim, err := p.Claim(Request{Sandbox: "a", Groups: []Group{{Name: "nic", Count: 1, Whole: true}}})
	if err != nil || claim.VFs[0][0].Address.Bus != 1 {
		t.Fatalf("%+v, %v", claim, err)
	}
	whole := claim.VFs[0][0].Address
	p.Attach("a", whole)
	away := func(vfs int) []*Provider {
		fresh := withWhole(node([]int{vfs, 0}))
		fresh[0].PF.Interface, fresh[0].Reason = "", "is not among the config's providers"
		exclude(fresh[0].Whole, "has no interface in the host")
		for _, one := range fresh[0].VFs {
			exclude(one, "its PF has no interface in the host")
		}
		return fresh
	}
	before := sketch(p)
	if changes := refresh(p, away(2)); changes.Again || sketch(p) != before {
		t.Errorf("%+v\n%s", changes, sketch(p))
	}
	refresh(p, away(0))
	refresh(p, away(1))
	if text := sketch(p); !strings.Contains(text, "enp1s0: ") || strings.Contains(text, "  0 ") || !strings.Contains(text, "whole attached a") {
		t.Error(text)
	}
	p.Release("a", whole, "")
	p.Replace(withWhole(node([]int{2, 0}))[0])
	p.Free("a", whole)
	if diff := cmp.Diff(before, strings.Replace(sketch(p), "whole free  ", "whole attached a ", 1)); diff != "" {
		t.Error(diff)
	}
	fresh := withWhole(node([]int{2, 0}))
	exclude(fresh[1].Whole, "enp2s0 carries the host's default route")
	refresh(p, fresh)
	if text := sketch(p); !strings.Contains(text, "whole excluded  enp2s0 carries") {
		t.Error(text)
	}
	claim, err = p.Claim(Request{Sandbox: "b", Groups: []Group{{Name: "nic", Count: 1, Whole: true}}})
	if err != nil {
		t.Fatal(err)
	}
	changes := refresh(p, nil)
	if len(changes.Vanished) != 1 || changes.Vanished[0].Sandbox != "b" || !strings.HasPrefix(sketch(p), "enp1s0: is gone") {
		t.Errorf("%+v\n%s", changes, sketch(p))
	}
	if _, err := p.Claim(Request{Sandbox: "c", Groups: []Group{group(1)}}); !errors.Is(err, ErrNoFreeVF) {
		t.Errorf("a VF of a PF that is gone: %v", err)
	}
	p.Exclude("b", claim.VFs[0][0].Address, "is gone")
	if text := sketch(p); text != "" {
		t.Error(text)
	}
}
