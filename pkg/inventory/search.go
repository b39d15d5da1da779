package inventory

import (
	"fmt"
	"slices"
	"strings"
)

// maxSteps bounds a search: the pod chooses how many entries there are and how they hinder each other, and the
// runtime's lock is held while we look. Within it every placement that exists is found, since positions that led
// nowhere are remembered.
const maxSteps = 20_000

// search finds VFs for groups by trying providers in order and going back where a later group finds nothing. The VFs
// of a provider are all alike to it.
type search struct {
	providers []*Provider
	usable    func(*VF) bool

	chosen [][]*VF
	taken  map[*VF]bool
	onPF   map[*Provider]int
	dead   map[string]bool
	steps  int
}

// run answers whether all groups can be served; chosen then holds the VFs of each.
func (s *search) run(groups []Group, isolate bool) bool {
	s.chosen = make([][]*VF, 0, len(groups))
	s.taken, s.onPF, s.dead = map[*VF]bool{}, map[*Provider]int{}, map[string]bool{}
	return s.place(groups, isolate)
}

func (s *search) place(groups []Group, isolate bool) bool {
	if len(groups) == 0 {
		return true
	}
	position := s.position(len(groups))
	if s.steps++; s.steps > maxSteps || s.dead[position] {
		return false
	}
	group := groups[0]
	for _, provider := range s.spread() {
		if provider.suits(group) != "" || (isolate && s.onPF[provider] > 0) {
			continue
		}
		vfs := s.take(provider, group.Count)
		if vfs == nil {
			continue
		}
		s.chosen = append(s.chosen, vfs)
		if s.place(groups[1:], isolate) {
			return true
		}
		s.chosen = s.chosen[:len(s.chosen)-1]
		s.giveBack(provider, vfs)
	}
	s.dead[position] = true
	return false
}

// position is all that decides whether the remaining groups can be placed.
func (s *search) position(left int) string {
	var text strings.Builder
	fmt.Fprint(&text, left)
	for _, provider := range s.providers {
		fmt.Fprintf(&text, " %d/%t", s.room(provider), s.onPF[provider] > 0)
	}
	return text.String()
}

// spread orders the providers by the room they have left, the most first, then by name.
func (s *search) spread() []*Provider {
	order := slices.Clone(s.providers)
	slices.SortStableFunc(order, func(a, b *Provider) int { return s.room(b) - s.room(a) })
	return order
}

// room is how many more usable VFs a provider may give away.
func (s *search) room(provider *Provider) int {
	free := 0
	total, _ := provider.offered()
	unusable := 0
	for _, one := range provider.VFs {
		switch {
		case one.State == Excluded:
		case s.usable(one) && !s.taken[one]:
			free++
		default:
			unusable++
		}
	}
	return min(free, total-provider.Reserved-unusable)
}

func (s *search) take(provider *Provider, count int) []*VF {
	if provider.Reason != "" || s.room(provider) < count {
		return nil
	}
	var usable []*VF
	for _, one := range provider.VFs {
		if s.usable(one) && !s.taken[one] {
			usable = append(usable, one)
		}
	}
	slices.SortStableFunc(usable, func(a, b *VF) int { return a.freeSince.Compare(b.freeSince) })
	vfs := usable[:count]
	for _, one := range vfs {
		s.taken[one] = true
	}
	s.onPF[provider]++
	return vfs
}

func (s *search) giveBack(provider *Provider, vfs []*VF) {
	for _, one := range vfs {
		delete(s.taken, one)
	}
	s.onPF[provider]--
}
