package inventory

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// unknownWay is the resource of a function that a sandbox has by a record, which does not tell it.
const unknownWay = "?"

// Promise takes over which functions the kubelet has given to pods, and for which resources; of several, the first was
// given it first, and the others have to wait. A promised function goes to claims that name it and its first resource, and
// to nobody else: until one comes, it counts as claimed, by the sandbox "". What was promised before and is not in all is
// promised no more. A promise takes a function from nobody who has it. Those that are now have just been given away: whoever
// has them still is not the one that they were given to.
func (p *Pool) Promise(all map[vf.PCIAddress][]string, now ...vf.PCIAddress) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, address := range now {
		if one, ok := p.byAddress[address]; ok {
			one.awaited = one.taken()
		}
	}
	if maps.EqualFunc(p.promised, all, slices.Equal) {
		return
	}
	p.promised = maps.Clone(all)
	for _, address := range slices.SortedFunc(maps.Keys(p.byAddress), vf.PCIAddress.Compare) {
		one := p.byAddress[address]
		if slices.Equal(one.promises, all[address]) {
			continue
		}
		one.promises = slices.Clone(all[address])
		one.awaited = one.awaited && len(one.promises) > 0
		if one.via == unknownWay && one.taken() && len(one.promises) > 0 && !one.awaited {
			one.via = one.promises[0] // what the record does not tell, and what a kubelet may forget for a while after its start
		}
		switch {
		case one.idle() && len(one.promises) > 0:
			one.Reason = one.promise()
		case one.idle():
			one.release()
			p.leave(one)
		case one.State == Free && len(one.promises) > 0:
			one.settle()
		}
	}
	p.serve()
	p.tell()
}

// Userspace names the resources whose functions pods drive themselves: while one of those is promised, what shares its IOMMU
// group goes to nobody else.
func (p *Pool) Userspace(resources []string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.userspace = map[string]bool{}
	for _, one := range resources {
		p.userspace[one] = true
	}
	p.serve()
	p.tell()
}

// Promised tells whether a function was given to a pod by the kubelet that nobody has come for yet.
func (p *Pool) Promised() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for address := range p.promised {
		if one, ok := p.byAddress[address]; ok && one.owed() {
			return true
		}
	}
	return false
}

// owed tells whether a function was given to a pod that has not come for it yet, also where somebody else has it still: the
// pod's predecessor, whose end the kubelet did not wait for, or one that was given it for another network. What another
// plugin gave nobody has to come for, so that it is owed only while nobody has it.
func (one *VF) owed() bool {
	ours := slices.ContainsFunc(one.promises, func(resource string) bool { return strings.HasPrefix(resource, config.ResourcePrefix) })
	switch {
	case one.idle():
		return true
	case !ours:
		return false
	case one.State != Claimed && one.State != Attached:
		return true
	}
	return one.awaited || len(one.promises) > 1 || !one.hadAs(one.promises[0])
}

// Changed has something in it after each change of the pool. It is for one reader.
func (p *Pool) Changed() <-chan struct{} { return p.changed }

func (p *Pool) tell() {
	select {
	case p.changed <- struct{}{}:
	default: // the reader knows that there is something already
	}
}

// idle tells that a function is promised, and nobody has come for it.
func (one *VF) idle() bool { return one.State == Claimed && one.Sandbox == "" }

// settle is the end of a way back: the function is free, or waits for the pod that it is promised to.
func (one *VF) settle() {
	if len(one.promises) == 0 {
		one.become(Free)
		one.Reason = ""
		return
	}
	one.become(Claimed)
	one.Reason = one.promise()
}

func (one *VF) promise() string {
	return fmt.Sprintf("was given by the kubelet to a pod with %s, which has not come for it yet", one.promises[0])
}

// given tells whether a function may go to a group that was given it.
func (s *search) given(one *VF, group Group) bool {
	return slices.Contains(group.From, one.Address) && one.firstOf(group.Resource) && !one.gone && one.barred == "" &&
		(one.idle() || s.releasing && one.State == Releasing) && s.untiedYet(one, s.request.Sandbox, s.request.userspace())
}

func (one *VF) firstOf(resource string) bool {
	return len(one.promises) > 0 && one.promises[0] == resource
}

// gift tells apart what the kubelet gave: groups that share it have the same.
func (g Group) gift() string { return g.Resource + " " + g.From[0].String() }

// countGiven counts, for each gift of the request, what each provider can give of what the kubelet gave.
func (s *search) countGiven() {
	for _, group := range s.request.Groups {
		if group.From == nil || s.fromKubelet[group.gift()] != nil {
			continue
		}
		counts := make([]int, len(s.providers))
		for i, provider := range s.providers {
			switch {
			case group.Whole && provider.Whole != nil && s.given(provider.Whole, group) && s.allFree(provider):
				counts[i] = 1
			case !group.Whole && provider.Reason == "" && !s.wholeInTheWay(provider):
				for _, one := range provider.VFs {
					if s.given(one, group) {
						counts[i]++
					}
				}
			}
		}
		if s.fromKubelet == nil {
			s.fromKubelet = map[string][]int{}
		}
		s.fromKubelet[group.gift()] = counts
		s.gifts = append(s.gifts, group.gift())
	}
}

// wholeInTheWay tells whether somebody has the PF itself. While that is only promised, who comes first has what he was given.
func (s *search) wholeInTheWay(provider *Provider) bool {
	return provider.givenOut() && !provider.Whole.idle() && !(s.releasing && provider.Whole.State == Releasing)
}

// stockOf is what a group draws on: what the kubelet gave, or what is free.
func (s *search) stockOf(group Group) []int {
	if group.From != nil {
		return s.fromKubelet[group.gift()]
	}
	return s.left
}

// allFree tells whether nobody has a VF of a provider.
func (s *search) allFree(provider *Provider) bool {
	usable := provider.stock.counts[Free]
	if s.releasing {
		usable = 0
		for _, one := range provider.VFs {
			if s.usable(one) {
				usable++
			}
		}
	}
	return usable == len(provider.VFs)
}

// fromGiven picks the functions of a provider for a group, in the order in which they were given.
func (s *search) fromGiven(group Group, provider *Provider, picked map[*VF]bool) []*VF {
	if group.Whole {
		return []*VF{provider.Whole}
	}
	var vfs []*VF
	for _, address := range group.From {
		one := s.byAddress[address]
		if len(vfs) < group.Count && one != nil && one.provider == provider && !picked[one] && s.given(one, group) {
			picked[one] = true
			vfs = append(vfs, one)
		}
	}
	return vfs
}

// refusalOfGiven says what is the matter with each function that the kubelet gave, or that they do not fit together.
func (p *Pool) refusalOfGiven(group Group) string {
	var reasons []string
	for _, address := range group.From {
		if reason := p.notToBeHad(address, group); reason != "" {
			reasons = append(reasons, address.String()+" "+reason)
		}
	}
	if len(reasons) > 0 {
		return strings.Join(reasons, "; ")
	}
	var given []string
	for _, address := range group.From {
		given = append(given, fmt.Sprintf("%s of %s", address, p.providerOf(p.byAddress[address]).PF.Name()))
	}
	return fmt.Sprintf("an entry is for %d VFs of one PF, with the bandwidth that it needs, and it gave %s", group.Count, strings.Join(given, ", "))
}

func (p *Pool) notToBeHad(address vf.PCIAddress, group Group) string {
	one, ok := p.byAddress[address]
	if !ok {
		return "is nothing that this node offers"
	}
	provider := p.providerOf(one)
	reason := provider.suits(group)
	switch {
	case group.Whole != (provider.Whole == one):
		return "is not what the network gives: see its resourceClass"
	case reason != "":
		return "cannot be had: its PF " + provider.PF.Name() + " " + reason
	case one.gone, one.State == Excluded, one.barred != "":
		return one.Reason
	case one.Sandbox != "":
		return fmt.Sprintf("is %s by sandbox %s", heldHow(one.State), one.Sandbox)
	case !one.firstOf(group.Resource) && len(one.promises) > 0:
		return fmt.Sprintf("was given to a pod with %s before", one.promises[0])
	case !group.Whole && provider.givenOut() && !provider.Whole.idle():
		return "cannot be had: its PF " + provider.PF.Name() + " is in use as a whole"
	case !p.untiedYet(one, "", group.Userspace):
		return "is tied to VFs in use by its IOMMU group"
	case group.Whole:
		for _, each := range provider.VFs {
			if each.State != Free {
				return fmt.Sprintf("has VF %d in use", each.ID)
			}
		}
	}
	return ""
}

func heldHow(state State) string {
	if state == Releasing {
		return "being given back"
	}
	return "in use"
}

func (p *Pool) providerOf(one *VF) *Provider {
	for _, provider := range p.providers {
		if provider == one.provider || provider.Whole == one {
			return provider
		}
	}
	return &Provider{} // it has just gone
}
