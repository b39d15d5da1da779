package placement

import "slices"

// slotSet is a set of slots, of which a question has fewer than 128.
type slotSet [2]uint64

func (set *slotSet) add(i int) { set[i/64] |= 1 << (i % 64) }

// emit writes down what is chosen as a candidate. Nodes that serve the same slots share one map of amounts.
func (s *search) emit() {
	if len(s.found) >= s.limit {
		// One more than was asked for is enough to know that there are more.
		s.found, s.stopped = append(s.found, Candidate{}), true
		return
	}
	candidate := Candidate{Allocations: make(Allocations, min(len(s.slots), 8)), Mappings: make(map[string][]string, len(s.groups))}
	var unnumbered []string
	for i, n := range s.chosen {
		group, provider := &s.groups[s.slots[i].group], s.tree.nodes[n]
		if group.numbered() {
			candidate.Mappings[group.suffix] = provider.itself
		} else if !slices.Contains(unnumbered, provider.name) {
			unnumbered = append(unnumbered, provider.name)
		}
		if len(s.slots[i].wants) > 0 && candidate.Allocations[provider.name] == nil {
			candidate.Allocations[provider.name] = s.amountsOf(n)
		}
	}
	if unnumbered != nil {
		slices.Sort(unnumbered)
		candidate.Mappings[""] = unnumbered
	}
	s.steps -= len(s.slots) / 4
	s.found = append(s.found, candidate)
	s.stopped = s.stopped || len(s.found) >= s.limit && !s.more
}

// amountsOf adds up what the slots of node n take.
func (s *search) amountsOf(n int) map[string]int {
	var set slotSet
	for i, m := range s.chosen {
		if m == n {
			set.add(i)
		}
	}
	amounts, known := s.amounts[set]
	if !known {
		amounts = map[string]int{}
		for i, m := range s.chosen {
			if m != n {
				continue
			}
			for _, w := range s.slots[i].wants {
				amounts[s.classes[w.class]] += w.amount
			}
		}
		s.amounts[set] = amounts
	}
	return amounts
}
