package inventory

import (
	"slices"
	"time"
)

// stock counts a provider's VFs by state and keeps the free ones in line, the longest free first, so that a claim costs
// the same however many VFs a PF has.
type stock struct {
	counts      map[State]int
	first, last *VF
}

// adopt takes the provider's VFs into its stock.
func (p *Provider) adopt() {
	p.stock = stock{counts: map[State]int{}}
	for _, one := range p.VFs {
		one.provider, one.before, one.after = p, nil, nil
		p.stock.counts[one.State]++
		if one.State == Free {
			p.stock.push(one)
		}
	}
	if p.Whole != nil {
		p.Whole.provider = nil
	}
	p.markDevices()
}

// markDevices brings the traits up to date that say in which ways the VFs can be given.
func (p *Provider) markDevices() {
	p.Traits = slices.Clone(p.Traits)
	for trait, fit := range map[string]bool{
		TraitNetdev: p.unfitDevice(Group{}) == "", TraitVFIO: p.unfitDevice(Group{Userspace: true}) == "",
	} {
		at, known := slices.BinarySearch(p.Traits, trait)
		switch {
		case fit && !known:
			p.Traits = slices.Insert(p.Traits, at, trait)
		case !fit && known:
			p.Traits = slices.Delete(p.Traits, at, at+1)
		}
	}
}

// become changes a VF's state; a whole PF is no part of a stock.
func (one *VF) become(state State) {
	if one.provider != nil {
		s := &one.provider.stock
		if one.State == Free {
			s.remove(one)
		}
		s.counts[one.State]--
		s.counts[state]++
		if state == Free {
			s.push(one)
		}
	}
	one.State, one.held, one.changed = state, false, time.Now()
}

func (s *stock) push(one *VF) {
	one.before, one.after = s.last, nil
	if s.last == nil {
		s.first = one
	} else {
		s.last.after = one
	}
	s.last = one
}

func (s *stock) remove(one *VF) {
	if one.before == nil {
		s.first = one.after
	} else {
		one.before.after = one.after
	}
	if one.after == nil {
		s.last = one.before
	} else {
		one.after.before = one.before
	}
	one.before, one.after = nil, nil
}
