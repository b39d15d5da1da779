package inventory

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"pgregory.net/rapid"
)

// recount checks that the pool's books say what its VFs are.
func recount(t *rapid.T, p *Pool) {
	seen := map[vf.PCIAddress]bool{}
	for _, provider := range p.providers {
		counts, egress, free := map[State]int{}, 0, 0
		for _, one := range provider.VFs {
			if seen[one.Address] || p.byAddress[one.Address] != one || one.provider != provider {
				t.Fatalf("%s is there twice, or not to be found", one.Address)
			}
			seen[one.Address] = true
			counts[one.State]++
			egress += one.egress
			if (one.Sandbox != "") != one.taken() {
				t.Fatalf("%s is %s of sandbox %q", one.Address, one.State, one.Sandbox)
			}
		}
		for one, last := provider.stock.first, (*VF)(nil); one != nil; last, one = one, one.after {
			if free++; one.State != Free || one.before != last || !seen[one.Address] {
				t.Fatalf("%s is %s in the line of free VFs", one.Address, one.State)
			}
		}
		for _, state := range []State{Free, Claimed, Attached, Releasing, Excluded} {
			if provider.stock.counts[state] != counts[state] {
				t.Fatalf("%s counts %d %s, %d are", provider.PF.Name(), provider.stock.counts[state], state, counts[state])
			}
		}
		if free != counts[Free] || egress != provider.egress {
			t.Fatalf("%s has %d in line of %d free, and %d kilobit/s used of %d", provider.PF.Name(), free, counts[Free], provider.egress, egress)
		}
	}
	if len(seen) != len(p.byAddress) {
		t.Fatalf("%d VFs, %d are found", len(seen), len(p.byAddress))
	}
}

// drawnNode is some node of at most three PFs; a few of its VFs are the host's, and a few are other devices than before.
func drawnNode(t *rapid.T) func() []*Provider {
	vfs := rapid.SliceOfN(rapid.IntRange(-1, 4), 3, 3).Draw(t, "vfs") // -1 is no PF
	hosts := rapid.SliceOfNDistinct(rapid.IntRange(0, 11), 0, 3, rapid.ID).Draw(t, "the host's")
	others := rapid.SliceOfN(rapid.Uint64Range(1, 2), 12, 12).Draw(t, "instances")
	return func() []*Provider {
		var fresh []*Provider
		for i, one := range node([]int{max(0, vfs[0]), max(0, vfs[1]), max(0, vfs[2])}) {
			for j, each := range one.VFs {
				if each.Instance = others[4*i+j]; slices.Contains(hosts, 4*i+j) {
					exclude(each, "is the host's")
				}
			}
			if one.Bandwidth.Egress = 1000; vfs[i] >= 0 {
				fresh = append(fresh, one)
			}
		}
		return fresh
	}
}

// trial is a pool with what its sandboxes think they have.
type trial struct {
	*rapid.T
	pool    *Pool
	owner   map[vf.PCIAddress]string
	waiting []*Claim
}

// TestRefreshesNeverLoseCount: whatever comes and goes while VFs are claimed and given back, none has two owners, no owner
// loses one but by giving it back, the counters are right, and the same node read again changes nothing.
func TestRefreshesNeverLoseCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &trial{T: t, pool: NewPool(drawnNode(t)()), owner: map[vf.PCIAddress]string{}}
		for step := range rapid.IntRange(1, 25).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1:
				r.claim(fmt.Sprint(step))
			case 2:
				if address, sandbox := r.some(); sandbox != "" {
					r.pool.Release(sandbox, address, "")
				}
			case 3:
				r.giveBack()
			default:
				r.refresh()
			}
			r.collect()
			recount(t, r.pool)
			r.check()
		}
	})
}

func (r *trial) claim(sandbox string) {
	g := Group{Name: "n", Count: rapid.IntRange(1, 2).Draw(r.T, "count"), Egress: 100}
	if c, err := r.pool.Claim(Request{Sandbox: sandbox, Groups: []Group{g}}); err == nil {
		r.waiting = append(r.waiting, c)
	}
}

// collect takes what was granted.
func (r *trial) collect() {
	r.waiting = slices.DeleteFunc(r.waiting, func(c *Claim) bool {
		select {
		case <-c.Granted:
		default:
			return false
		}
		for _, one := range c.VFs[0] {
			if has, ok := r.owner[one.Address]; ok {
				r.Fatalf("%s is %s's, and %s gets it", one.Address, has, c.request.Sandbox)
			}
			r.owner[one.Address] = c.request.Sandbox
		}
		return true
	})
}

// some is a VF that a sandbox has.
func (r *trial) some() (vf.PCIAddress, string) {
	if len(r.owner) == 0 {
		return vf.PCIAddress{}, ""
	}
	address := rapid.SampledFrom(slices.SortedFunc(maps.Keys(r.owner), vf.PCIAddress.Compare)).Draw(r.T, "whose")
	return address, r.owner[address]
}

func (r *trial) giveBack() {
	address, sandbox := r.some()
	if sandbox == "" {
		return
	}
	delete(r.owner, address)
	if rapid.Bool().Draw(r.T, "gone") {
		r.pool.Exclude(sandbox, address, "is gone")
	} else {
		r.pool.Free(sandbox, address)
	}
}

func (r *trial) refresh() {
	read := drawnNode(r.T)
	began := time.Now()
	if rapid.Bool().Draw(r.T, "late") {
		began = began.Add(-rapid.SampledFrom([]time.Duration{time.Microsecond, time.Millisecond}).Draw(r.T, "by"))
	}
	for _, one := range r.pool.Refresh(read(), began).Unseen {
		if rapid.Bool().Draw(r.T, "seen") {
			r.pool.Free("", one)
		}
	}
	r.collect()
	r.pool.Refresh(read(), time.Now())
	before := sketch(r.pool)
	changes := r.pool.Refresh(read(), time.Now())
	if after := sketch(r.pool); len(changes.Vanished)+len(changes.Unseen) != 0 || changes.Again || after != before {
		r.Fatalf("the same node again: %+v\n%s\n%s", changes, before, after)
	}
}

// check compares what the pool says with what the sandboxes have been given.
func (r *trial) check() {
	for address, sandbox := range r.owner {
		if _, one, ok := r.pool.Find(address); !ok || one.Sandbox != sandbox {
			r.Fatalf("%s is no more %s's: %+v", address, sandbox, one)
		}
	}
	for address, one := range r.pool.byAddress {
		if one.Sandbox != r.owner[address] {
			r.Fatalf("%s: the pool says %q, the claims %q", address, one.Sandbox, r.owner[address])
		}
	}
}
