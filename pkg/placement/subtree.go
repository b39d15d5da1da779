package placement

import "slices"

// subtree is a set of same_subtree on its way: of the providers chosen for its groups, one must be above all others or
// be them. That one is then the deepest provider above all of them, so that this and whether it is itself among the
// chosen are all there is to know.
type subtree struct {
	groups []int
	state  subtreeState
	// last is the last slot of the set.
	last int
	// slots are those of the groups; serves tells which nodes a group could choose, below whether there is such a node at
	// or below a node.
	slots  []int
	serves [][]bool
	below  [][]bool
}

// subtreeState is where a set stands.
type subtreeState struct {
	// meet is the deepest provider at or above all chosen, -1 before the first is; topped is 1 when it is one of them.
	meet   int
	topped int
}

func newSubtrees(s *search) []subtree {
	var sets []subtree
	for _, groups := range s.subtrees {
		set := subtree{groups: groups, state: subtreeState{meet: -1}}
		for _, g := range groups {
			i := slices.IndexFunc(s.slots, func(one slot) bool { return one.group == g })
			serves, below := make([]bool, len(s.uses)), make([]bool, len(s.uses))
			for _, n := range s.slots[i].domain {
				serves[n] = true
				for ; n >= 0 && !below[n]; n = s.tree.nodes[n].parent {
					below[n] = true
				}
			}
			set.last = max(set.last, i)
			set.slots, set.serves, set.below = append(set.slots, i), append(set.serves, serves), append(set.below, below)
		}
		sets = append(sets, set)
	}
	return sets
}

// join notes that a group chose node n, and answers the states of before, for leave.
func (s *search) join(group, n int) []subtreeState {
	var before []subtreeState
	for i := range s.sets {
		set := &s.sets[i]
		if !slices.Contains(set.groups, group) {
			continue
		}
		before = append(before, set.state)
		if set.state.meet < 0 {
			set.state = subtreeState{meet: n, topped: 1}
			continue
		}
		meet := s.tree.above(set.state.meet, n)
		switch {
		case meet == n:
			set.state.topped = 1
		case meet != set.state.meet:
			set.state.topped = 0
		}
		set.state.meet = meet
	}
	return before
}

func (s *search) leave(group int, before []subtreeState) {
	for i := range s.sets {
		if slices.Contains(s.sets[i].groups, group) {
			s.sets[i].state, before = before[0], before[1:]
		}
	}
}

// reachable tells, once slot i is placed, whether each set has a provider that may still come to be above all others.
func (s *search) reachable(i int) bool {
	for k := range s.sets {
		set := &s.sets[k]
		if slices.Contains(set.slots, i) && !s.toppable(set, i) {
			return false
		}
	}
	return true
}

func (s *search) toppable(set *subtree, placed int) bool {
	if placed >= set.last {
		return set.state.topped == 1
	}
	for top := set.state.meet; top >= 0; top = s.tree.nodes[top].parent {
		s.steps -= (len(set.slots) + 7) / 8
		able, all := top == set.state.meet && set.state.topped == 1, true
		for k, i := range set.slots {
			if i > placed {
				able = able || set.serves[k][top]
				all = all && set.below[k][top]
			}
		}
		if able && all {
			return true
		}
	}
	return false
}
