package inventory

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Pool is the node's VFs and who has them.
type Pool struct {
	mutex     sync.Mutex
	providers []*Provider
	byAddress map[vf.PCIAddress]*VF
	waiting   []*Claim
	pack      bool
	// named are traits that the config names, known those that a PF has besides.
	named, known map[string]bool
	// siblings are the VFs of each IOMMU group that has more than one.
	siblings map[int][]*VF
	// read is when the reading began that was taken over last.
	read time.Time
	// promised are the resources for which the kubelet has given functions away; see Promise.
	promised map[vf.PCIAddress][]string
	// userspace are resources whose functions pods drive themselves; see Userspace.
	userspace map[string]bool
	changed   chan struct{}
}

// NewPool starts with the providers as they were read, and owns them from then on.
func NewPool(providers []*Provider) *Pool {
	p := &Pool{providers: providers, byAddress: map[vf.PCIAddress]*VF{}, named: map[string]bool{}, changed: make(chan struct{}, 1)}
	for _, one := range providers {
		one.adopt()
	}
	p.index()
	return p
}

// index finds the VFs by address and by IOMMU group.
func (p *Pool) index() {
	clear(p.byAddress)
	p.known = maps.Clone(p.named)
	groups := map[int][]*VF{}
	for _, provider := range p.providers {
		for _, trait := range provider.Traits {
			p.known[trait] = true
		}
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

// Pack has claims fill one PF after the other; without it they go to the PF that has the most left.
func (p *Pool) Pack(pack bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.pack = pack
}

// Name tells of the traits that the config names, in place of those that an earlier one named: known, whether or not a PF has
// them.
func (p *Pool) Name(traits []string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	clear(p.named)
	for _, trait := range traits {
		p.named[trait] = true
	}
	p.index()
}

// untied tells whether a VF may go to a sandbox for all that its IOMMU group says: the group is what the hardware keeps
// apart, and who drives one member can reach the others. A member that is promised counts as in use: what is free is not
// to be given away under the one who will come for it.
func (p *Pool) untied(one *VF, sandbox string, userspace bool) bool {
	return !slices.ContainsFunc(p.siblings[one.IOMMUGroup], func(other *VF) bool {
		return other != one && p.ties(other, sandbox, userspace)
	})
}

// untiedYet is untied for a VF that was promised itself: as long as nobody has come for the others of its group, who comes
// first has the group.
func (p *Pool) untiedYet(one *VF, sandbox string, userspace bool) bool {
	return !slices.ContainsFunc(p.siblings[one.IOMMUGroup], func(other *VF) bool {
		return other != one && !other.idle() && p.ties(other, sandbox, userspace)
	})
}

// ties tells whether a VF keeps the others of its IOMMU group from a sandbox; from all of them where sandbox is empty.
func (p *Pool) ties(one *VF, sandbox string, userspace bool) bool {
	taken := one.State == Claimed || one.State == Attached || one.State == Releasing
	driven := one.userspace || one.idle() && p.userspace[one.promises[0]]
	return taken && (sandbox == "" || one.Sandbox != sandbox) && (userspace || driven)
}

// Claim takes VFs for all groups or for none. When free ones do not do but those in release would, the claim waits in
// the order of arrival; the caller waits for Granted, and gives up with Unclaim. ErrNoFreeVF comes with the reason of
// each PF.
func (p *Pool) Claim(request Request) (*Claim, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if err := p.unknown(request); err != nil {
		return nil, err
	}
	c := &Claim{Granted: make(chan struct{}), request: request}
	if len(p.waiting) == 0 && p.grant(c) {
		return c, nil
	}
	s := p.search(request, true)
	if !s.run() {
		return nil, p.refusal(request)
	}
	p.waiting = append(p.waiting, c)
	p.serve()
	return c, nil
}

// grant serves a claim from free VFs.
func (p *Pool) grant(c *Claim) bool {
	s := p.search(c.request, false)
	if !s.run() {
		return false
	}
	for i, group := range s.chosen() {
		var vfs []vf.VF
		for _, one := range group {
			one.become(Claimed)
			one.Sandbox, one.Reason, one.userspace, one.via = c.request.Sandbox, "", c.request.Groups[i].Userspace, c.request.Groups[i].Resource
			one.awaited = false
			one.draw(c.request.Groups[i].Egress)
			vfs = append(vfs, one.VF)
		}
		c.VFs = append(c.VFs, vfs)
	}
	close(c.Granted)
	p.tell()
	return true
}

// draw takes from the PF's bandwidth, or gives back with 0.
func (one *VF) draw(egress int) {
	if one.provider != nil {
		one.provider.egress += egress - one.egress
	}
	one.egress = egress
}

// Unclaim takes back what a sandbox claimed and nobody has touched: VFs that are claimed become free, and a waiting
// claim leaves the queue.
func (p *Pool) Unclaim(sandbox string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.waiting = slices.DeleteFunc(p.waiting, func(c *Claim) bool { return c.request.Sandbox == sandbox })
	for _, one := range p.byAddress {
		if one.Sandbox == sandbox && one.State == Claimed {
			one.release()
			p.leave(one)
		}
	}
	p.serve()
	p.tell()
}

// Adopt gives a VF to the sandbox that has it already, by the journal; the group says how the pod has it. It answers false
// when the VF is not there or belongs to another sandbox.
func (p *Pool) Adopt(sandbox string, address vf.PCIAddress, how Group) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	one, ok := p.byAddress[address]
	if !ok || sandbox == "" || (one.Sandbox != "" && one.Sandbox != sandbox) {
		return false
	}
	one.become(Claimed)
	one.Sandbox, one.Reason, one.userspace, one.via = sandbox, "", how.Userspace, cmp.Or(how.Resource, unknownWay)
	one.draw(how.Egress)
	p.tell()
	return true
}

// Reclaim takes a VF that nobody has on its way back, by the sandbox "", until Free; reason says why. It answers false when
// the VF is not there or somebody has it. At no moment does it look like one that waits for whom it is promised to.
func (p *Pool) Reclaim(address vf.PCIAddress, reason string) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	one, ok := p.byAddress[address]
	if !ok || one.Sandbox != "" {
		return false
	}
	one.become(Releasing)
	one.Reason, one.userspace, one.via = reason, true, unknownWay // who had it may have driven it himself
	one.draw(0)
	p.tell()
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
		one.become(state)
		one.Reason = reason
		p.tell()
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
	p.leave(one)
	p.serve()
	p.tell()
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
				one.barred, one.byPF, one.Reason = "", false, one.seen
				if one.seen == "" {
					one.settle()
				}
			}
		}
	}
	p.tell()
}

// Exclude takes a VF out of the offer for good, such as one that is gone.
func (p *Pool) Exclude(sandbox string, address vf.PCIAddress, reason string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if one, ok := p.byAddress[address]; ok && one.Sandbox == sandbox {
		one.become(Excluded)
		one.draw(0)
		one.Sandbox, one.Reason, one.barred, one.via = "", reason, reason, ""
		p.leave(one)
		p.tell()
	}
}

// release makes a VF free again, or excluded again when the config bars it, or has it wait for whom it is promised to.
func (one *VF) release() {
	one.Sandbox, one.Reason, one.userspace, one.via = "", one.barred, false, ""
	one.draw(0)
	if one.barred != "" {
		one.become(Excluded)
	} else {
		one.settle()
	}
}

// serve grants what can be granted in the order of arrival. Nobody overtakes one who waits for VFs of the same PFs: a
// pod that needs several would else never see them free at the same time.
func (p *Pool) serve() {
	wanted := map[*Provider]bool{}
	p.waiting = slices.DeleteFunc(p.waiting, func(c *Claim) bool {
		free := !slices.ContainsFunc(p.providers, func(one *Provider) bool { return wanted[one] && one.serves(c.request) })
		if free && p.grant(c) {
			return true
		}
		for _, one := range p.providers {
			wanted[one] = wanted[one] || one.serves(c.request)
		}
		return false
	})
}

// serves tells whether a provider suits any group of a request that takes what is free. What the kubelet gave is nobody
// else's to wait for.
func (p *Provider) serves(request Request) bool {
	return slices.ContainsFunc(request.Groups, func(g Group) bool { return g.From == nil && p.suits(g) == "" })
}
