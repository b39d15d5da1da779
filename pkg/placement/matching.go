package placement

import "slices"

// matching tells early that the slots to come cannot all be served, where trying would take very long to find out: with
// isolate each numbered group needs a provider of its own; without, a provider serves so many slots as what it has left
// of a class allows when each asks for the least. Both are a matching of slots with places.
type matching struct {
	ready bool
	// class is the one that most slots want; least is, by slot, the least amount that it or one after it wants of it.
	class int
	least []int
	// served are, by node, the slots that it has in the matching; seen is the last round that looked at it.
	served [][]int
	seen   []int
	round  int
}

// prepare chooses the class.
func (m *matching) prepare(s *search) {
	m.ready = true
	counts := make([]int, len(s.classes))
	for _, one := range s.slots {
		for _, w := range one.wants {
			counts[w.class]++
		}
	}
	m.class = slices.Index(counts, slices.Max(counts))
	m.least = make([]int, len(s.slots)+1)
	m.least[len(s.slots)] = MaxInt
	for i := len(s.slots) - 1; i >= 0; i-- {
		m.least[i] = m.least[i+1]
		if amount := s.slots[i].amount(m.class); amount > 0 {
			m.least[i] = min(m.least[i], amount)
		}
	}
	m.served, m.seen = make([][]int, len(s.uses)), make([]int, len(s.uses))
}

// amount is what a slot wants of a class; 0 when it does not.
func (one slot) amount(class int) int {
	for _, w := range one.wants {
		if w.class == class {
			return w.amount
		}
	}
	return 0
}

// matches tells whether the slots from i on may all be served, as far as a matching can tell.
func (s *search) matches(i int) bool {
	m := &s.matching
	if !m.ready {
		m.prepare(s)
	}
	members := s.tree.members[s.root]
	s.steps -= len(members) / 32
	for _, n := range members {
		m.served[n] = m.served[n][:0]
	}
	for j := i; j < len(s.slots); j++ {
		if s.isolate && !s.groups[s.slots[j].group].numbered() || !s.isolate && s.slots[j].amount(m.class) == 0 {
			continue
		}
		m.round++
		if !s.match(i, j) {
			return false
		}
	}
	return true
}

// match finds a place for slot j, moving others where it must; i is the first slot that is not placed.
func (s *search) match(i, j int) bool {
	m := &s.matching
	for _, n := range s.slots[j].domain {
		if m.seen[n] == m.round || !s.open(j, n) {
			continue
		}
		m.seen[n] = m.round
		if len(m.served[n]) < s.places(i, n) {
			m.served[n] = append(m.served[n], j)
			return true
		}
		s.steps -= len(m.served[n])/8 + 1
		for k, other := range m.served[n] {
			if s.match(i, other) {
				m.served[n][k] = j
				return true
			}
		}
	}
	return false
}

// places is how many of the slots from i on node n could serve.
func (s *search) places(i, n int) int {
	if s.isolate {
		return 1
	}
	return max(0, s.left[n*len(s.classes)+s.matching.class]) / s.matching.least[i]
}
