package inventory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"pgregory.net/rapid"
)

const resA, resB = "sriov.nri.io/a", "sriov.nri.io/b"

// at is the address of a VF of node, or of a PF itself where id is -1.
func at(pf, id int) vf.PCIAddress {
	if id < 0 {
		return vf.PCIAddress{Bus: uint8(pf + 1)}
	}
	return vf.PCIAddress{Bus: uint8(pf + 1), Device: 0x10, Function: uint8(id)}
}

// promise is a short way to say who was given what.
func promise(p *Pool, resource string, addresses ...vf.PCIAddress) {
	all := map[vf.PCIAddress][]string{}
	for address, resources := range p.promised {
		all[address] = slices.Clone(resources)
	}
	for _, one := range addresses {
		if !slices.Contains(all[one], resource) {
			all[one] = append(all[one], resource)
		}
	}
	p.Promise(all)
}

func given(name, resource string, count int, from ...vf.PCIAddress) Group {
	return Group{Name: name, Count: count, Resource: resource, From: from}
}

// withWhole lets the PFs of a node be given out themselves.
func givenWhole(providers []*Provider) []*Provider {
	for i, one := range providers {
		one.Whole = &VF{VF: vf.VF{Address: at(i, -1), PF: at(i, -1), ID: -1, Interfaces: []string{"p"}, IOMMUGroup: -1}, State: Free}
	}
	return providers
}

// TestGivenVFs: a pod gets the VFs that the kubelet gave it, entry by entry, or hears why not.
func TestGivenVFs(t *testing.T) {
	red := []string{"CUSTOM_RED"}
	claimed := func(p *Pool) { claimOne(t, p, "other") }
	for _, c := range []struct {
		name    string
		before  func(p *Pool)
		promise []vf.PCIAddress
		groups  []Group
		isolate bool
		want    string
	}{
		{"the very one", nil, []vf.PCIAddress{at(1, 2)}, []Group{given("a", resA, 1, at(1, 2))}, false, "0000:02:10.2"},
		{"two of one PF", nil, []vf.PCIAddress{at(0, 0), at(0, 2)}, []Group{given("a", resA, 2, at(0, 0), at(0, 2))}, false, "0000:01:10.0,0000:01:10.2"},
		{"an entry each", nil, []vf.PCIAddress{at(0, 0), at(1, 2)},
			[]Group{given("a", resA, 1, at(0, 0), at(1, 2)), given("a", resA, 1, at(0, 0), at(1, 2))}, true, "0000:01:10.0 0000:02:10.2"},
		{"entries of two and one", nil, []vf.PCIAddress{at(0, 0), at(1, 1), at(1, 2)},
			[]Group{given("a", resA, 1, at(0, 0), at(1, 1), at(1, 2)), given("a", resA, 2, at(0, 0), at(1, 1), at(1, 2))}, false, "0000:01:10.0 0000:02:10.1,0000:02:10.2"},
		{"beside a free one", nil, []vf.PCIAddress{at(0, 0), at(0, 1)}, []Group{given("a", resA, 1, at(0, 0)), {Name: "n", Count: 3}}, false, "0000:01:10.0 0000:02:10.0,0000:02:10.1,0000:02:10.2"},
		{"single ones", nil, []vf.PCIAddress{at(0, 0), at(1, 0)}, []Group{given("a", resA, 1, at(1, 0)), given("a", resA, 1, at(0, 0))}, false, "0000:02:10.0 0000:01:10.0"},
		{"two PFs for one entry", nil, []vf.PCIAddress{at(0, 0), at(1, 0)}, []Group{given("a", resA, 2, at(0, 0), at(1, 0))}, false,
			`network "a": the pod cannot have what the kubelet gave it for sriov.nri.io/a: an entry is for 2 VFs of one PF, with the bandwidth that it needs, and it gave 0000:01:10.0 of enp1s0, 0000:02:10.0 of enp2s0`},
		{"another's", func(p *Pool) { promise(p, resB, at(0, 0)) }, []vf.PCIAddress{at(0, 0)}, []Group{given("a", resA, 1, at(0, 0))}, false,
			`network "a": the pod cannot have what the kubelet gave it for sriov.nri.io/a: 0000:01:10.0 was given to a pod with sriov.nri.io/b before`},
		{"in use", claimed, []vf.PCIAddress{at(0, 0)}, []Group{given("a", resA, 1, at(0, 0))}, false,
			`network "a": the pod cannot have what the kubelet gave it for sriov.nri.io/a: 0000:01:10.0 is in use by sandbox other`},
		{"nothing of this node", nil, []vf.PCIAddress{at(6, 0)}, []Group{given("a", resA, 1, at(6, 0))}, false,
			`network "a": the pod cannot have what the kubelet gave it for sriov.nri.io/a: 0000:07:10.0 is nothing that this node offers`},
		{"lacks a trait", nil, []vf.PCIAddress{at(0, 0)}, []Group{{Name: "a", Count: 1, Resource: resA, From: []vf.PCIAddress{at(0, 0)}, Required: red}}, false,
			`network "a": the pod cannot have what the kubelet gave it for sriov.nri.io/a: 0000:01:10.0 cannot be had: its PF enp1s0 lacks CUSTOM_RED`},
		{"a PF instead of a VF", nil, []vf.PCIAddress{at(0, -1)}, []Group{given("a", resA, 1, at(0, -1))}, false,
			`network "a": the pod cannot have what the kubelet gave it for sriov.nri.io/a: 0000:01:00.0 is not what the network gives: see its resourceClass`},
		{"a whole PF", nil, []vf.PCIAddress{at(1, -1)}, []Group{{Name: "a", Count: 1, Whole: true, Resource: resA, From: []vf.PCIAddress{at(1, -1)}}}, false, "0000:02:00.0"},
		{"a whole PF in use", claimed, []vf.PCIAddress{at(0, -1)}, []Group{{Name: "a", Count: 1, Whole: true, Resource: resA, From: []vf.PCIAddress{at(0, -1)}}}, false,
			`network "a": the pod cannot have what the kubelet gave it for sriov.nri.io/a: 0000:01:00.0 has VF 0 in use`},
		{"excluded", func(p *Pool) { p.Exclude("", at(0, 0), "is the host's") }, []vf.PCIAddress{at(0, 0)}, []Group{given("a", resA, 1, at(0, 0))}, false,
			`network "a": the pod cannot have what the kubelet gave it for sriov.nri.io/a: 0000:01:10.0 is the host's`},
	} {
		t.Run(c.name, func(t *testing.T) {
			pool := NewPool(givenWhole(node([]int{3, 3})))
			pool.Name(red)
			if c.before != nil {
				c.before(pool)
			}
			promise(pool, resA, c.promise...)
			claim, err := pool.Claim(Request{Sandbox: "s", Groups: c.groups, Isolate: c.isolate})
			got := fmt.Sprint(err)
			if err == nil {
				got = addressesOf(claim)
			} else if !errors.Is(err, ErrNotToBeHad) {
				t.Errorf("not ErrNotToBeHad: %v", err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// addressesOf draws a claim, such as "0000:01:10.0,0000:01:10.1 0000:02:10.0" for two groups.
func addressesOf(c *Claim) string {
	select {
	case <-c.Granted:
	default:
		return "waits"
	}
	text := ""
	for i, vfs := range c.VFs {
		for j, one := range vfs {
			if j > 0 {
				text += ","
			} else if i > 0 {
				text += " "
			}
			text += one.Address.String()
		}
	}
	return text
}

// TestPromisedIsNotFree: what the kubelet gave away is nobody else's, from then until it is given back.
func TestPromisedIsNotFree(t *testing.T) {
	p := NewPool(givenWhole(node([]int{1})))
	promise(p, resA, at(0, 0))
	if !p.Promised() {
		t.Error("nothing is promised")
	}
	for _, want := range []Group{group(1), given("b", resB, 1, at(0, 0)), {Name: "n", Count: 1, Whole: true}} {
		if claim, err := p.Claim(Request{Sandbox: "s", Groups: []Group{want}}); err == nil {
			t.Fatalf("%+v gives %+v", want, claim)
		}
	}
	p.Promise(nil)
	if p.Promised() {
		t.Error("something is promised")
	}
	claimOne(t, p, "s")
	promise(p, resA, at(0, 0)) // the kubelet did not know
	if _, err := p.Claim(Request{Sandbox: "late", Groups: []Group{given("a", resA, 1, at(0, 0))}}); err == nil {
		t.Fatal("a VF has two owners")
	}
	p.Release("s", at(0, 0), "")
	late, err := p.Claim(Request{Sandbox: "late", Groups: []Group{given("a", resA, 1, at(0, 0))}})
	if err != nil || addressesOf(late) != "waits" {
		t.Fatalf("%v, %v", late, err)
	}
	if _, err := p.Claim(Request{Sandbox: "other", Groups: []Group{group(1)}}); err == nil {
		t.Error("a VF on its way back that is promised is waited for")
	}
	p.Free("s", at(0, 0))
	if got := addressesOf(late); got != "0000:01:10.0" {
		t.Errorf("it is free, and %s", got)
	}
	p.Unclaim("late")
	if !p.Promised() {
		t.Error("who gives up what it was given leaves it to nobody else")
	}
}

// TestPromiseThatNobodyHasComeFor: whoever else has the VF, the pod that was given it is still to come.
func TestPromiseThatNobodyHasComeFor(t *testing.T) {
	const others = "intel.com/sriov"
	come := func(t *testing.T, p *Pool, resource string) {
		promise(p, resource, at(0, 0))
		if _, err := p.Claim(Request{Sandbox: "s", Groups: []Group{given("a", resource, 1, at(0, 0))}}); err != nil {
			t.Fatal(err)
		}
	}
	again := func(p *Pool) { p.Promise(map[vf.PCIAddress][]string{at(0, 0): {resA}}, at(0, 0)) }
	for _, c := range []struct {
		name string
		do   func(t *testing.T, p *Pool)
		want bool
	}{
		{"come for", func(t *testing.T, p *Pool) { come(t, p, resA) }, false},
		{"attached", func(t *testing.T, p *Pool) { come(t, p, resA); p.Attach("s", at(0, 0)) }, false},
		{"on its way back", func(t *testing.T, p *Pool) { come(t, p, resA); p.Release("s", at(0, 0), "") }, true},
		{"given for another network", func(t *testing.T, p *Pool) { come(t, p, resA); promise(p, resB, at(0, 0)) }, true},
		{"given again", func(t *testing.T, p *Pool) { come(t, p, resA); again(p) }, true},
		{"given again and taken back", func(t *testing.T, p *Pool) { come(t, p, resA); again(p); p.Promise(nil) }, false},
		{"given again and come for", func(t *testing.T, p *Pool) {
			come(t, p, resA)
			again(p)
			p.Free("s", at(0, 0))
			come(t, p, resA)
		}, false},
		{"of an annotation", func(t *testing.T, p *Pool) { claimOne(t, p, "s"); promise(p, resA, at(0, 0)) }, true},
		{"of a record", func(_ *testing.T, p *Pool) { p.Adopt("s", at(0, 0), Group{}); promise(p, resA, at(0, 0)) }, false},
		{"another plugin's", func(_ *testing.T, p *Pool) { promise(p, others, at(0, 0)); p.Exclude("", at(0, 0), "is in use") }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := NewPool(node([]int{1}))
			c.do(t, p)
			if got := p.Promised(); got != c.want {
				t.Errorf("promised: %v", got)
			}
		})
	}
}

// TestGivenVFOfAPFThatIsInUse: as long as somebody has the PF itself, nobody gets a VF of it; when it was only promised,
// who comes first gets what he was given.
func TestGivenVFOfAPFThatIsInUse(t *testing.T) {
	p := NewPool(givenWhole(node([]int{2})))
	whole := Group{Name: "w", Count: 1, Whole: true}
	if _, err := p.Claim(Request{Sandbox: "whole", Groups: []Group{whole}}); err != nil {
		t.Fatal(err)
	}
	promise(p, resA, at(0, 1))
	one := Request{Sandbox: "s", Groups: []Group{given("a", resA, 1, at(0, 1))}}
	if _, err := p.Claim(one); !errors.Is(err, ErrNotToBeHad) || !strings.Contains(err.Error(), "0000:01:10.1 cannot be had: its PF enp1s0 is in use as a whole") {
		t.Fatalf("%v", err)
	}
	p.Release("whole", at(0, -1), "")
	waiting, err := p.Claim(one)
	if err != nil || addressesOf(waiting) != "waits" {
		t.Fatalf("while it is on its way back: %v, %v", waiting, err)
	}
	p.Free("whole", at(0, -1))
	if got := addressesOf(waiting); got != "0000:01:10.1" {
		t.Errorf("when it is back: %s", got)
	}
	p.Unclaim("s")
	promise(p, resB, at(0, -1))
	if claim, err := p.Claim(one); err != nil || addressesOf(claim) != "0000:01:10.1" {
		t.Errorf("when it is promised: %v, %v", claim, err)
	}
}

// TestPromisedVFIsCleaned: from the first moment on, until it is clean, it is nobody's, and then his whom it is promised to.
func TestPromisedVFIsCleaned(t *testing.T) {
	p := NewPool(node([]int{1}))
	promise(p, resA, at(0, 0))
	if p.Adopt("", at(0, 0), Group{}) {
		t.Fatal("claimed by nobody is what waits for whom it is promised to")
	}
	if !p.Reclaim(at(0, 0), "was found unclean") {
		t.Fatal("nobody has it")
	}
	late, err := p.Claim(Request{Sandbox: "s", Groups: []Group{given("a", resA, 1, at(0, 0))}})
	if err != nil || addressesOf(late) != "waits" {
		t.Fatalf("while it is cleaned: %v, %v", late, err)
	}
	p.Free("", at(0, 0))
	if got := addressesOf(late); got != "0000:01:10.0" || p.Reclaim(at(0, 0), "") || p.Reclaim(at(3, 0), "") {
		t.Errorf("when it is clean: %s", got)
	}
}

// TestWaitForGivenHoldsNobodyUp: a pod that waits for its very VF is in nobody's way.
func TestWaitForGivenHoldsNobodyUp(t *testing.T) {
	p := NewPool(node([]int{2}))
	first := claimOne(t, p, "s")
	promise(p, resA, first)
	p.Release("s", first, "in quarantine")
	if late, err := p.Claim(Request{Sandbox: "late", Groups: []Group{given("a", resA, 1, first)}}); err != nil || addressesOf(late) != "waits" {
		t.Fatalf("%v, %v", late, err)
	}
	if claim, err := p.Claim(Request{Sandbox: "other", Groups: []Group{group(1)}}); err != nil || addressesOf(claim) != "0000:01:10.1" {
		t.Fatalf("%v, %v", claim, err)
	}
}

// drawOffers draws offers, one a line.
func drawOffers(p *Pool, g Group, resource string) string {
	g.Resource = resource
	text := ""
	for _, one := range p.Offers(g) {
		state := "free"
		if one.Taken {
			state = "taken"
		}
		if one.Reason != "" {
			state += ": " + one.Reason
		}
		text += fmt.Sprintf("%s %s\n", one.Address, state)
	}
	return text
}

// TestOffers: what is taken by any other way than the resource's own cannot be had.
func TestOffers(t *testing.T) {
	n := node([]int{4})
	n[0].VFs[3].State, n[0].VFs[3].Reason, n[0].VFs[3].barred, n[0].VFs[3].unoffered = Excluded, "is not among the config's vfs", "is not among the config's vfs", true
	p := NewPool(givenWhole(n))
	check := func(what string, g Group, resource, want string) {
		t.Helper()
		if diff := cmp.Diff(want, drawOffers(p, g, resource)); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	check("at first", group(1), resA, "0000:01:10.0 free\n0000:01:10.1 free\n0000:01:10.2 free\n")
	claimOne(t, p, "annotation")
	promise(p, resA, at(0, 1))
	promise(p, resB, at(0, 2))
	const other = "in use by another network's name, or by an annotation alone"
	check("a", group(1), resA, "0000:01:10.0 free: is "+other+"\n0000:01:10.1 taken\n"+
		"0000:01:10.2 free: was given by the kubelet to a pod with sriov.nri.io/b, which has not come for it yet\n")
	claim, err := p.Claim(Request{Sandbox: "s", Groups: []Group{given("a", resA, 1, at(0, 1))}})
	if err != nil || addressesOf(claim) != "0000:01:10.1" {
		t.Fatal(err)
	}
	p.Attach("s", at(0, 1))
	check("attached", group(1), resA, "0000:01:10.0 free: is "+other+"\n0000:01:10.1 taken\n"+
		"0000:01:10.2 free: was given by the kubelet to a pod with sriov.nri.io/b, which has not come for it yet\n")
	check("attached, b", group(1), resB, "0000:01:10.0 free: is "+other+"\n0000:01:10.1 free: is "+other+"\n0000:01:10.2 taken\n")
	p.Promise(nil) // the pod has ended for the kubelet
	p.Release("s", at(0, 1), "")
	check("on its way", group(1), resA, "0000:01:10.0 free: is "+other+"\n0000:01:10.1 taken\n0000:01:10.2 free\n")
	check("on its way, b", group(1), resB, "0000:01:10.0 free: is "+other+"\n0000:01:10.1 free: is "+other+"\n0000:01:10.2 free\n")
	p.Release("s", at(0, 1), "is held open")
	check("quarantine", group(1), resA, "0000:01:10.0 free: is "+other+"\n0000:01:10.1 taken: is held open\n0000:01:10.2 free\n")
	p.Free("s", at(0, 1))
	check("free again", group(1), resA, "0000:01:10.0 free: is "+other+"\n0000:01:10.1 free\n0000:01:10.2 free\n")
	check("whole", Group{Name: "w", Count: 1, Whole: true}, resA, "0000:01:00.0 free: has VF 0 in use\n")
}

// TestOffersAfterARestart: which way a sandbox has its VF is not in the journal; the kubelet's list says it.
func TestOffersAfterARestart(t *testing.T) {
	p := NewPool(node([]int{1}))
	p.Adopt("s", at(0, 0), Group{})
	p.Attach("s", at(0, 0))
	promise(p, resA, at(0, 0))
	if got := drawOffers(p, group(1), resA) + drawOffers(p, group(1), resB); got != "0000:01:10.0 taken\n0000:01:10.0 free: is in use by another network's name, or by an annotation alone\n" {
		t.Error(got)
	}
}

// TestPromisesInOneIOMMUGroup: promises tie nobody who was given a member; the first who comes has the group, the next waits.
func TestPromisesInOneIOMMUGroup(t *testing.T) {
	grouped := func() *Pool {
		n := node([]int{3})
		inGroups(n[0], 7, 7, 8)
		p := NewPool(n)
		promise(p, resA, at(0, 0), at(0, 1))
		return p
	}
	fast := func(count int, from ...vf.PCIAddress) []Group {
		g := given("a", resA, count, from...)
		g.Userspace = true
		return []Group{g}
	}
	p := grouped()
	if claim, err := p.Claim(Request{Sandbox: "both", Groups: fast(2, at(0, 0), at(0, 1))}); err != nil || addressesOf(claim) != "0000:01:10.0,0000:01:10.1" {
		t.Errorf("both for one pod: %v, %v", claim, err)
	}
	p = grouped()
	if claim, err := p.Claim(Request{Sandbox: "first", Groups: fast(1, at(0, 1))}); err != nil || addressesOf(claim) != "0000:01:10.1" {
		t.Fatalf("the first of two pods: %v, %v", claim, err)
	}
	second := Request{Sandbox: "second", Groups: fast(1, at(0, 0))}
	if _, err := p.Claim(second); !errors.Is(err, ErrNotToBeHad) || !strings.Contains(err.Error(), "is tied to VFs in use by its IOMMU group") {
		t.Errorf("the second: %v", err)
	}
	p.Release("first", at(0, 1), "")
	p.Free("first", at(0, 1))
	if claim, err := p.Claim(second); err != nil || addressesOf(claim) != "0000:01:10.0" {
		t.Errorf("the second, when the first has ended: %v, %v", claim, err)
	}
}

// TestOffersInOneIOMMUGroup: what a promise ties is not to be given away, and not to be claimed.
func TestOffersInOneIOMMUGroup(t *testing.T) {
	n := node([]int{3})
	inGroups(n[0], 7, 7, 8)
	p := NewPool(n)
	promise(p, resA, at(0, 0))
	want := "0000:01:10.0 taken\n0000:01:10.1 free: is tied to VFs in use by its IOMMU group\n0000:01:10.2 free\n"
	if got := drawOffers(p, vfio(1)[0], resA); got != want {
		t.Error(got)
	}
	if got := drawOffers(p, group(1), resA); got != "0000:01:10.0 taken\n0000:01:10.1 free\n0000:01:10.2 free\n" {
		t.Errorf("network interfaces share a group: %s", got)
	}
	if _, err := p.Claim(Request{Sandbox: "s", Groups: vfio(2)}); !errors.Is(err, ErrNoFreeVF) || !strings.Contains(err.Error(), "1 tied to VFs in use by their IOMMU group") {
		t.Errorf("an annotation alone: %v", err)
	}
	p.Userspace([]string{resA})
	if got := drawOffers(p, group(1), resB); got != "0000:01:10.0 free: was given by the kubelet to a pod with sriov.nri.io/a, which has not come for it yet\n"+
		"0000:01:10.1 free: is tied to VFs in use by its IOMMU group\n0000:01:10.2 free\n" {
		t.Errorf("network interfaces beside one that a pod is to drive: %s", got)
	}
	if _, err := p.Claim(Request{Sandbox: "s", Groups: []Group{group(2)}}); !errors.Is(err, ErrNoFreeVF) {
		t.Errorf("two network interfaces by annotation alone: %v", err)
	}
	promise(p, resB, at(0, 1))
	if claim, err := p.Claim(Request{Sandbox: "s", Groups: []Group{given("b", resB, 1, at(0, 1))}}); err != nil || addressesOf(claim) != "0000:01:10.1" {
		t.Errorf("who was given an interface of the group, and comes first: %v, %v", claim, err)
	}
}

// TestOffersWithoutLink: a network that requires a speed asks for a link.
func TestOffersWithoutLink(t *testing.T) {
	n := node([]int{1, 1}, []string{"CUSTOM_SPEED_1000"}, nil)
	p := NewPool(n)
	fast := Group{Name: "fast", Count: 1, Required: []string{"CUSTOM_SPEED_1000"}}
	if got := drawOffers(p, fast, resA); got != "0000:01:10.0 free\n0000:02:10.0 free: its PF lacks CUSTOM_SPEED_1000\n" {
		t.Error(got)
	}
	fast.Required = []string{"CUSTOM_RED"}
	if got := drawOffers(p, fast, resA); got != "" {
		t.Error(got)
	}
}

// TestOffersAreBounded by what the provider keeps back, and by its bandwidth.
func TestOffersAreBounded(t *testing.T) {
	n := node([]int{4})
	n[0].Reserved, n[0].Bandwidth.Egress = 1, 3000
	p := NewPool(n)
	if got := drawOffers(p, group(1), resA); got != "0000:01:10.0 free\n0000:01:10.1 free\n0000:01:10.2 free\n0000:01:10.3 free: is kept back by its provider's reserved\n" {
		t.Error(got)
	}
	g := Group{Name: "n", Count: 1, Egress: 1000}
	promise(p, resA, at(0, 0))
	want := "0000:01:10.0 taken\n0000:01:10.1 free\n0000:01:10.2 free\n0000:01:10.3 free: is kept back by its provider's reserved\n"
	if got := drawOffers(p, g, resA); got != want {
		t.Error(got)
	}
	g.Egress = 1500
	want = "0000:01:10.0 taken\n0000:01:10.1 free\n0000:01:10.2 free: its PF has no bandwidth left for it\n0000:01:10.3 free: its PF has no bandwidth left for it\n"
	if got := drawOffers(p, g, resA); got != want {
		t.Error(got)
	}
}

// TestPromisedVFIsReadAnew: a VF that nobody has come for follows the readings of the node like a free one.
func TestPromisedVFIsReadAnew(t *testing.T) {
	p := NewPool(node([]int{2}))
	promise(p, resA, at(0, 0), at(0, 1))
	fresh := node([]int{2})
	exclude(fresh[0].VFs[0], "is the host's")
	time.Sleep(time.Millisecond)
	if changes := refresh(p, fresh); changes.Again || len(changes.Vanished) != 0 {
		t.Errorf("%+v", changes)
	}
	if got := drawOffers(p, group(1), resA); got != "0000:01:10.0 free: is the host's\n0000:01:10.1 taken\n" {
		t.Error(got)
	}
	time.Sleep(time.Millisecond)
	if changes := refresh(p, node([]int{2})); len(changes.Unseen) != 1 || changes.Again {
		t.Errorf("%+v", changes)
	}
	p.Free("", at(0, 0))
	if got := drawOffers(p, group(1), resA); got != "0000:01:10.0 taken\n0000:01:10.1 taken\n" {
		t.Error(got)
	}
	time.Sleep(time.Millisecond)
	refresh(p, nil)
	if p.Promised() || len(p.Providers()) != 0 {
		t.Errorf("what is gone is promised still: %s", sketch(p))
	}
	time.Sleep(time.Millisecond)
	for _, one := range refresh(p, node([]int{2})).Unseen {
		p.Free("", one)
	}
	if got := drawOffers(p, group(1), resA); got != "0000:01:10.0 taken\n0000:01:10.1 taken\n" {
		t.Errorf("back again: %s", got)
	}
}

// TestPromisesAndClaims: whatever the kubelet gives and takes back beside claims of both kinds, no VF has two owners, the
// books are right, and a VF of which another way is promised first is nobody else's.
func TestPromisesAndClaims(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := NewPool(node([]int{2, 2}))
		owner := map[vf.PCIAddress]string{}
		for step := range rapid.IntRange(1, 40).Draw(t, "steps") {
			one := at(rapid.IntRange(0, 1).Draw(t, "pf"), rapid.IntRange(0, 1).Draw(t, "vf"))
			resource := rapid.SampledFrom([]string{resA, resB}).Draw(t, "resource")
			sandbox := fmt.Sprint("s", step)
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				promise(p, resource, one)
			case 1:
				all := map[vf.PCIAddress][]string{}
				for address, resources := range p.promised {
					if address != one {
						all[address] = resources
					}
				}
				p.Promise(all)
			case 2, 3:
				g := group(1)
				if rapid.Bool().Draw(t, "given") {
					g = given("n", resource, 1, one)
				}
				claim, err := p.Claim(Request{Sandbox: sandbox, Groups: []Group{g}})
				if err != nil {
					break
				}
				if addressesOf(claim) == "waits" {
					p.Unclaim(sandbox)
					break
				}
				got := claim.VFs[0][0].Address
				if owner[got] != "" {
					t.Fatalf("%s has %s, which %s has", sandbox, got, owner[got])
				}
				if first := p.promised[got]; len(first) > 0 && first[0] != g.Resource {
					t.Fatalf("%s has %s by %q, which was promised to %v", sandbox, got, g.Resource, first)
				}
				owner[got] = sandbox
				p.Attach(sandbox, got)
			case 4:
				if owner[one] != "" {
					p.Release(owner[one], one, "")
					p.Free(owner[one], one)
					delete(owner, one)
				}
			}
			recount(t, p)
		}
	})
}
