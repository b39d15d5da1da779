package placement

import "slices"

// ordered are the nodes of slot i's domain, the preferred first.
func (s *search) ordered(i int) []int {
	one := s.slots[i]
	if s.prefer == nil {
		return one.domain
	}
	type ranked struct {
		node  int
		offer Offer
	}
	offers := make([]ranked, len(one.domain))
	for k, n := range one.domain {
		offers[k] = ranked{node: n, offer: Offer{Provider: s.tree.nodes[n].name, Groups: s.uses[n]}}
		if len(one.wants) > 0 {
			class := one.wants[0].class
			offers[k].offer.Class = s.classes[class]
			offers[k].offer.Free = s.tree.nodes[n].stock[s.classes[class]].free() - s.taken(n, class)
		}
	}
	suffix := s.groups[one.group].suffix
	slices.SortStableFunc(offers, func(a, b ranked) int { return s.prefer(suffix, a.offer, b.offer) })
	s.steps -= len(offers) / 8
	order := make([]int, len(offers))
	for k, one := range offers {
		order[k] = one.node
	}
	return order
}

// taken is how much of a class the slots that are placed took from node n.
func (s *search) taken(n, class int) int {
	sum := 0
	for i, m := range s.chosen {
		for _, w := range s.slots[i].wants {
			if m == n && w.class == class {
				sum += w.amount
			}
		}
	}
	return sum
}
