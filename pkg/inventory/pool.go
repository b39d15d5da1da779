package inventory

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// ErrNoFreeVF says that a claim cannot be served, neither now nor by waiting for releases that are under way.
var ErrNoFreeVF = errors.New("no VF free")

// Group is one granular request: all of its VFs come from one provider.
type Group struct {
	// Name tells the group apart in refusals: the network's name.
	Name string
	// Count of VFs, at least 1.
	Count int
	// Whole asks for the PF itself instead.
	Whole bool
	// Userspace tells that the pod drives the VFs itself, by vfio or uio.
	Userspace bool
	// Required, Forbidden and AnyOf are traits.
	Required, Forbidden []string
	AnyOf               [][]string
}

// Claim is what a sandbox was promised. While it waits for VFs in release, Granted is open.
type Claim struct {
	// Granted is closed when VFs is filled.
	Granted chan struct{}
	// VFs holds the VFs per group, once granted.
	VFs [][]vf.VF

	sandbox string
	groups  []Group
	isolate bool
}

// Pool is the node's VFs and who has them.
type Pool struct {
	mutex     sync.Mutex
	providers []*Provider
	byAddress map[vf.PCIAddress]*VF
	waiting   []*Claim
	// siblings are the VFs of each IOMMU group that has more than one.
	siblings map[int][]*VF
}

// NewPool starts with the providers as they were read, and owns them from then on.
func NewPool(providers []*Provider) *Pool {
	p := &Pool{providers: providers, byAddress: map[vf.PCIAddress]*VF{}}
	p.index()
	return p
}

// index finds the VFs by address and by IOMMU group.
func (p *Pool) index() {
	clear(p.byAddress)
	groups := map[int][]*VF{}
	for _, provider := range p.providers {
		for _, one := range provider.VFs {
			p.byAddress[one.Address] = one
			groups[one.IOMMUGroup] = append(groups[one.IOMMUGroup], one)
		}
		if provider.Whole != nil {
			p.byAddress[provider.Whole.Address] = provider.Whole
			groups[provider.Whole.IOMMUGroup] = append(groups[provider.Whole.IOMMUGroup], provider.Whole)
		}
	}
	maps.DeleteFunc(groups, func(group int, members []*VF) bool { return group < 0 || len(members) < 2 })
	p.siblings = groups
}

// usable makes the test for VFs that a sandbox may be given: in one of the states, and not tied by its IOMMU group to a
// VF of another sandbox. The group is what the hardware keeps apart: who drives one member can reach the others.
func (p *Pool) usable(sandbox string, groups []Group, states ...State) func(*VF) bool {
	wanted := slices.ContainsFunc(groups, func(g Group) bool { return g.Userspace })
	return func(one *VF) bool {
		if !slices.Contains(states, one.State) {
			return false
		}
		return !slices.ContainsFunc(p.siblings[one.IOMMUGroup], func(other *VF) bool {
			taken := other.State == Claimed || other.State == Attached || other.State == Releasing
			return taken && other != one && other.Sandbox != sandbox && (wanted || other.userspace)
		})
	}
}

// Claim takes VFs for all groups or for none. When free ones do not do but those in release would, the claim waits in
// the order of arrival; the caller waits for Granted, and gives up with Unclaim. ErrNoFreeVF comes with the reason of
// each PF.
func (p *Pool) Claim(sandbox string, groups []Group, isolate bool) (*Claim, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	c := &Claim{Granted: make(chan struct{}), sandbox: sandbox, groups: groups, isolate: isolate}
	if p.grant(c) {
		return c, nil
	}
	s := search{providers: p.providers, usable: p.usable(sandbox, groups, Free, Releasing)}
	if s.run(groups, isolate) != nil {
		p.waiting = append(p.waiting, c)
		return c, nil
	}
	return nil, p.refusal(groups, isolate)
}

// grant serves a claim from free VFs.
func (p *Pool) grant(c *Claim) bool {
	s := search{providers: p.providers, usable: p.usable(c.sandbox, c.groups, Free)}
	chosen := s.run(c.groups, c.isolate)
	if chosen == nil {
		return false
	}
	for i, group := range chosen {
		var vfs []vf.VF
		for _, one := range group {
			one.State, one.Sandbox, one.Reason, one.userspace = Claimed, c.sandbox, "", c.groups[i].Userspace
			vfs = append(vfs, one.VF)
		}
		c.VFs = append(c.VFs, vfs)
	}
	close(c.Granted)
	return true
}

// Unclaim takes back what a sandbox claimed and nobody has touched: VFs that are claimed become free, and a waiting
// claim leaves the queue.
func (p *Pool) Unclaim(sandbox string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.waiting = slices.DeleteFunc(p.waiting, func(c *Claim) bool { return c.sandbox == sandbox })
	for _, one := range p.byAddress {
		if one.Sandbox == sandbox && one.State == Claimed {
			one.release()
		}
	}
	p.serve()
}

// Adopt gives a VF to the sandbox that has it already, by the journal; userspace tells that the pod drives it itself. It
// answers false when the VF is not there or belongs to another sandbox.
func (p *Pool) Adopt(sandbox string, address vf.PCIAddress, userspace bool) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	one, ok := p.byAddress[address]
	if !ok || (one.Sandbox != "" && one.Sandbox != sandbox) {
		return false
	}
	one.State, one.Sandbox, one.Reason, one.userspace = Claimed, sandbox, "", userspace
	return true
}

// Attach marks a VF as in use by its sandbox.
func (p *Pool) Attach(sandbox string, address vf.PCIAddress) { p.mark(sandbox, address, Attached, "") }

// Release marks a VF as on its way back; reason says what keeps it, once something does.
func (p *Pool) Release(sandbox string, address vf.PCIAddress, reason string) {
	p.mark(sandbox, address, Releasing, reason)
}

func (p *Pool) mark(sandbox string, address vf.PCIAddress, state State, reason string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if one, ok := p.byAddress[address]; ok && one.Sandbox == sandbox {
		one.State, one.Reason = state, reason
	}
}

// Free gives a VF back that was read back as clean. Only the sandbox that has it can: a late release never hits the
// next owner. Claims that waited for it are served.
func (p *Pool) Free(sandbox string, address vf.PCIAddress) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	one, ok := p.byAddress[address]
	if !ok || one.Sandbox != sandbox || one.State == Excluded {
		return
	}
	one.release()
	p.serve()
}

// Rename tells the name under which a PF came home that was given away as a whole.
func (p *Pool) Rename(address vf.PCIAddress, name string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, provider := range p.providers {
		if provider.PF.Address != address || provider.PF.Interface == name {
			continue
		}
		provider.PF.Interface, provider.Reason = name, ""
		provider.Whole.Interfaces = []string{name}
		for _, one := range provider.VFs {
			if one.State == Excluded && one.byPF {
				one.State, one.Reason, one.barred, one.byPF = Free, "", "", false
				if one.seen != "" {
					one.State, one.Reason = Excluded, one.seen
				}
			}
		}
	}
}

// Exclude takes a VF out of the offer for good, such as one that is gone.
func (p *Pool) Exclude(sandbox string, address vf.PCIAddress, reason string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if one, ok := p.byAddress[address]; ok && one.Sandbox == sandbox {
		one.State, one.Sandbox, one.Reason, one.barred = Excluded, "", reason, reason
	}
}

// release makes a VF free again, or excluded again when the config bars it.
func (one *VF) release() {
	one.State, one.Sandbox, one.Reason, one.freeSince, one.userspace = Free, "", "", time.Now(), false
	if one.barred != "" {
		one.State, one.Reason = Excluded, one.barred
	}
}

func (p *Pool) serve() {
	p.waiting = slices.DeleteFunc(p.waiting, p.grant)
}

// refusal says per group what each PF lacks. When every group could be served alone, the groups together ask for too
// much, and that is said instead.
func (p *Pool) refusal(groups []Group, isolate bool) error {
	for _, group := range groups {
		s := search{providers: p.providers, usable: p.usable("", []Group{group}, Free)}
		if s.run([]Group{group}, false) == nil {
			return fmt.Errorf("network %q: %w: %s", group.Name, ErrNoFreeVF, p.reasons(group))
		}
	}
	what := "each entry alone could be served, all together could not"
	if isolate {
		what += " on different PFs (group-policy isolate)"
	}
	return fmt.Errorf("%w: %s: %s", ErrNoFreeVF, what, p.reasons(Group{Count: 1}))
}

func (p *Pool) reasons(group Group) string {
	if len(p.providers) == 0 {
		return "this node has no PF with VFs"
	}
	var reasons []string
	for _, provider := range p.providers {
		reason := provider.suits(group)
		if reason == "" {
			reason = provider.shortage(group)
			if tied := p.tied(provider, group); tied > 0 {
				reason += fmt.Sprintf(", %d tied to VFs in use by their IOMMU group", tied)
			}
		}
		reasons = append(reasons, provider.PF.Name()+" "+reason)
	}
	return strings.Join(reasons, "; ")
}

// tied counts the free VFs of a provider that only their IOMMU group keeps from being used.
func (p *Pool) tied(provider *Provider, group Group) int {
	usable, count := p.usable("", []Group{group}, Free), 0
	for _, one := range provider.VFs {
		if one.State == Free && !usable(one) {
			count++
		}
	}
	return count
}
