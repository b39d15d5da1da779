package inventory

import (
	"slices"
	"strings"

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

// Replace takes a provider over that was read again, after its VFs have ended and were created anew. Nobody may have one
// of them. Who has the PF itself keeps it.
func (p *Pool) Replace(fresh *Provider) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for i, known := range p.providers {
		if known.PF.Address != fresh.PF.Address {
			continue
		}
		if known.Whole != nil && fresh.Whole != nil && known.givenOut() {
			known.Whole.VF, known.Whole.Rest = fresh.Whole.VF, fresh.Whole.Rest
			fresh.Whole = known.Whole
		}
		p.providers[i] = fresh
	}
	p.index()
	p.serve()
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
