package inventory

import (
	"slices"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Rebound tells what a function is bound to now, and under which names its interfaces are in the host.
func (p *Pool) Rebound(address vf.PCIAddress, driver string, interfaces []string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if one, ok := p.byAddress[address]; ok {
		one.Driver, one.Interfaces = driver, interfaces
	}
}

// Changes is what a reading of the node asks somebody to do.
type Changes struct {
	// Vanished are VFs and whole PFs that sandboxes have and that are no more, each told once. Their sandboxes keep them, as
	// far as the pool is concerned, until they are released.
	Vanished []Vanished
	// Unseen are VFs that could be offered, and could not before: new ones, and such as were somebody else's. Nobody knows
	// what they are set to. They count as on their way back, of the sandbox "", until Free("", address); whoever finds one
	// unclean adopts it for that sandbox and brings it to rest.
	Unseen []vf.PCIAddress
	// Again tells that something was left for the next reading since it changed during this one. No event need follow.
	Again bool
}

// Vanished is a VF, or a PF given as a whole, that a sandbox has lost.
type Vanished struct {
	VF      vf.VF
	PFName  string
	Sandbox string
	// Reason begins with "is gone".
	Reason string
}

// Refresh takes over the node as Read has read it; began is a time before the reading's. PFs and VFs that are new are
// added. Of those that nobody has, driver, interfaces and the reason for not being offered become what was read, and they
// leave when they are no more. What a sandbox has stays its own whatever was read; if it is no more, it is told once and
// shows the reason, and a PF stays for as long as somebody has one of its VFs. A VF whose state has changed since began
// may have been under way when it was looked at, and is left for the next reading. Claims that wait are served.
func (p *Pool) Refresh(fresh []*Provider, began time.Time) Changes {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if began.Before(p.read) {
		return Changes{Again: true}
	}
	p.read = began
	m := merge{Pool: p, began: began, hold: true}
	for _, known := range slices.Clone(p.providers) {
		at := slices.IndexFunc(fresh, func(one *Provider) bool { return one.PF.Address == known.PF.Address })
		if at < 0 {
			m.vanish(known)
		} else {
			m.provider(known, fresh[at])
		}
	}
	for _, one := range fresh {
		if !slices.ContainsFunc(p.providers, func(known *Provider) bool { return known.PF.Address == one.PF.Address }) {
			m.add(one)
		}
	}
	p.index()
	p.serve()
	p.tell()
	return m.Changes
}

// Replace takes a PF over that was read again, after its VFs have ended and were created anew, clean. Nobody may have one
// of them. Who has the PF itself keeps it.
func (p *Pool) Replace(fresh *Provider) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	m := merge{Pool: p, began: time.Now(), home: true}
	for _, known := range p.providers {
		if known.PF.Address == fresh.PF.Address {
			m.provider(known, fresh)
		}
	}
	p.index()
	p.serve()
	p.tell()
}

// Taken tells whether somebody has a function, or it is on its way.
func (p *Pool) Taken(address vf.PCIAddress) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	one, ok := p.byAddress[address]
	return ok && one.taken()
}

// VFNames are the names of a PF's VFs in the host, by number.
func (p *Pool) VFNames(pf vf.PCIAddress) map[int]string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	names := map[int]string{}
	for _, provider := range p.providers {
		for _, one := range provider.VFs {
			if provider.PF.Address == pf && len(one.Interfaces) == 1 {
				names[one.ID] = one.Interfaces[0]
			}
		}
	}
	return names
}

// Unclean says what keeps VFs from being free that are on their way back.
func (p *Pool) Unclean() string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	var reasons []string
	for _, one := range p.byAddress {
		if one.State == Releasing && one.Reason != "" && !slices.Contains(reasons, one.Reason) {
			reasons = append(reasons, one.Reason)
		}
	}
	if len(reasons) == 0 {
		return "those in release are not clean yet"
	}
	slices.Sort(reasons)
	return strings.Join(reasons, "; ")
}
