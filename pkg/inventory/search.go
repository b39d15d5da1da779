package inventory

import (
	"cmp"
	"slices"
)

// maxSteps bounds a search: the pod chooses how many entries there are and how they hinder each other, and the
// runtime's lock is held while we look. Positions that led nowhere are remembered, so that what is not found within the
// bound is hardly ever there.
const maxSteps = 10_000

// search finds a provider for each group by trying them in order and going back where a later group finds nothing. The
// VFs of a provider are all alike to it, so that it counts them.
type search struct {
	providers []*Provider
	usable    func(*VF) bool

	// left is how many VFs each provider may still give away, uses how many groups it serves; whole tells which may give
	// themselves away.
	left, uses []int
	whole      []bool
	// serving is the provider of each group that is placed.
	serving []int
	dead    map[string]bool
	steps   int
}

// run gives the VFs of each group, or nil when not all groups can be served.
func (s *search) run(groups []Group, isolate bool) [][]*VF {
	s.left, s.uses = make([]int, len(s.providers)), make([]int, len(s.providers))
	s.dead = map[string]bool{}
	s.whole = make([]bool, len(s.providers))
	all, wanted := 0, 0
	for i, provider := range s.providers {
		s.left[i] = s.room(provider)
		s.whole[i] = s.wholeFree(provider)
		all += s.left[i]
	}
	for _, group := range groups {
		if !group.Whole {
			wanted += group.Count
		}
	}
	if wanted > all || !s.place(groups, isolate) {
		return nil
	}
	return s.chosen(groups)
}

// room is how many usable VFs a provider may give away.
func (s *search) room(provider *Provider) int {
	if provider.Reason != "" || (provider.givenOut() && !s.usable(provider.Whole)) {
		return 0
	}
	usable := 0
	for _, one := range provider.VFs {
		if one.State != Excluded && s.usable(one) {
			usable++
		}
	}
	return max(0, usable-provider.Reserved)
}

// wholeFree tells whether the PF itself and all of its VFs are usable.
func (s *search) wholeFree(provider *Provider) bool {
	if provider.Whole == nil || provider.Whole.State == Excluded || !s.usable(provider.Whole) {
		return false
	}
	return !slices.ContainsFunc(provider.VFs, func(one *VF) bool { return one.State == Excluded || !s.usable(one) })
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
	for _, i := range s.spread(group) {
		if !s.fits(i, group, isolate) {
			continue
		}
		left := s.left[i]
		s.left[i] -= group.Count
		if group.Whole {
			s.left[i] = 0
		}
		s.uses[i]++
		s.serving = append(s.serving, i)
		if s.place(groups[1:], isolate) {
			return true
		}
		s.serving = s.serving[:len(s.serving)-1]
		s.uses[i]--
		s.left[i] = left
	}
	s.dead[position] = true
	return false
}

func (s *search) fits(i int, group Group, isolate bool) bool {
	switch {
	case isolate && s.uses[i] > 0, s.providers[i].suits(group) != "":
		return false
	case group.Whole:
		return group.Count == 1 && s.uses[i] == 0 && s.whole[i]
	}
	return s.left[i] >= group.Count
}

// spread orders the providers: those first whose free VFs need no other driver for the group, then by what they have
// left, the most first; otherwise it leaves them in their order.
func (s *search) spread(group Group) []int {
	order := make([]int, len(s.providers))
	for i := range order {
		order[i] = i
	}
	rebound := func(i int) int {
		if (s.providers[i].Driver != "") == group.Userspace {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(rebound(a)-rebound(b), s.left[b]-s.left[a])
	})
	return order
}

// position is all that decides whether the remaining groups can be placed.
func (s *search) position(remaining int) string {
	text := make([]byte, 0, 2+3*len(s.left))
	text = append(text, byte(remaining))
	for i, left := range s.left {
		text = append(text, byte(left), byte(left>>8), byte(min(1, s.uses[i])))
	}
	return string(text)
}

// chosen picks the VFs: the longest free first, since their last owner's frames are the longest gone.
func (s *search) chosen(groups []Group) [][]*VF {
	usable := make([][]*VF, len(s.providers))
	for i, provider := range s.providers {
		for _, one := range provider.VFs {
			if one.State != Excluded && s.usable(one) {
				usable[i] = append(usable[i], one)
			}
		}
		slices.SortStableFunc(usable[i], func(a, b *VF) int { return a.freeSince.Compare(b.freeSince) })
	}
	var chosen [][]*VF
	for g, i := range s.serving {
		if groups[g].Whole {
			chosen = append(chosen, []*VF{s.providers[i].Whole})
			continue
		}
		chosen = append(chosen, usable[i][:groups[g].Count])
		usable[i] = usable[i][groups[g].Count:]
	}
	return chosen
}
