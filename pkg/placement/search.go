package placement

// search finds the candidates of one tree, depth first: it gives each slot a provider in the preferred order and goes
// back where a later slot finds none. What cannot work is seen early by what is left (used amounts are taken off from
// the start), by matching and by the sets of same_subtree; positions that led nowhere are remembered.
type search struct {
	*plan
	root   int
	limit  int
	prefer func(suffix string, a, b Offer) int

	slots []slot
	// left is how much more of each class a provider may give in this answer, by node and class: what is free, and
	// max_unit, which binds the sum of all groups.
	left []int
	// uses counts the numbered groups on each node.
	uses []int
	// chosen is the node of each slot that is placed.
	chosen []int
	cover  cover
	sets   []subtree

	// lastUse and lastGroup are the last slot that may want a node's class, or the node for a numbered group.
	lastUse   []int
	lastGroup []int
	dead      map[string]bool
	deadEnds  int
	scratch   []uint64
	matching  matching

	found   []Candidate
	amounts map[slotSet]map[string]int
	// more asks for one candidate above the limit; stopped tells that the limit or the steps ended the search.
	more    bool
	stopped bool
	steps   int
}

// slot is something that one provider serves: a numbered group, or one class of the unnumbered group.
type slot struct {
	group  int
	wants  []want
	domain []int
	// last tells that the slot is its group's last.
	last bool
}

func newSearch(p *plan, root int, o Options) *search {
	s := &search{plan: p, root: root, limit: o.Limit, prefer: o.Prefer, amounts: map[slotSet]map[string]int{}}
	nodes := len(p.tree.nodes)
	s.left = make([]int, nodes*len(p.classes))
	s.uses = make([]int, nodes)
	for _, i := range p.tree.members[root] {
		for c, class := range p.classes {
			if inventory := p.tree.nodes[i].stock[class]; inventory != nil {
				s.left[i*len(p.classes)+c] = min(inventory.free(), inventory.MaxUnit)
			}
		}
	}
	for g, group := range p.groups {
		if group.numbered() {
			s.slots = append(s.slots, slot{group: g, wants: group.wants, domain: s.domain(group, group.wants), last: true})
			continue
		}
		for w := range group.wants {
			wants := group.wants[w : w+1]
			s.slots = append(s.slots, slot{group: g, wants: wants, domain: s.domain(group, wants), last: w == len(group.wants)-1})
		}
	}
	s.chosen = make([]int, 0, len(s.slots))
	return s
}

// domain are the nodes that could serve wants of a group when nothing else were asked for.
func (s *search) domain(g planned, wants []want) []int {
	var domain []int
	if g.inTree != "" {
		if i, found := s.tree.byName[g.inTree]; !found || s.tree.nodes[i].root != s.root {
			return nil
		}
	}
	for _, i := range s.tree.members[s.root] {
		if s.unfit(i, g, wants) == "" {
			domain = append(domain, i)
		}
	}
	return domain
}

// fits prepares the search and tells whether there is any hope.
func (s *search) fits() bool {
	s.lastUse, s.lastGroup = make([]int, len(s.left)), make([]int, len(s.uses))
	for i, one := range s.slots {
		if len(one.domain) == 0 {
			return false
		}
		for _, n := range one.domain {
			for _, w := range one.wants {
				s.lastUse[n*len(s.classes)+w.class] = i
			}
			if s.groups[one.group].numbered() {
				s.lastGroup[n] = i
			}
		}
	}
	s.cover = newCover(s)
	s.sets = newSubtrees(s)
	return s.enough()
}

// enough tells whether there is as much of each class as all slots want.
func (s *search) enough() bool {
	balance := make([]int, len(s.classes))
	for _, n := range s.tree.members[s.root] {
		for c := range balance {
			balance[c] += max(0, s.left[n*len(s.classes)+c])
		}
	}
	for _, one := range s.slots {
		for _, w := range one.wants {
			if balance[w.class] -= w.amount; balance[w.class] < 0 {
				return false
			}
		}
	}
	return true
}

// place serves the slots from i on and tells whether a candidate was found on the way.
func (s *search) place(i int) bool {
	if i == len(s.slots) {
		s.emit()
		return true
	}
	// Short cuts cost more than they save for the last slot, and while nothing went wrong yet.
	cautious := i < len(s.slots)-1
	var position string
	if cautious && s.deadEnds > 2 {
		position = s.position(i)
		if s.dead[position] {
			return false
		}
	}
	found := false
	if !cautious || s.matches(i) {
		found = s.try(i)
	}
	if !found && !s.stopped {
		s.deadEnds++
		if position != "" {
			if s.dead == nil {
				s.dead = map[string]bool{}
			}
			s.dead[position] = true
		}
	}
	return found
}

// try gives slot i each of its providers in turn.
func (s *search) try(i int) bool {
	found := false
	for _, n := range s.ordered(i) {
		if s.steps--; s.steps < 0 {
			s.stopped = true
		}
		if s.stopped {
			return found
		}
		if !s.open(i, n) {
			continue
		}
		undo := s.take(i, n)
		if s.cover.possible(s, i) && s.reachable(i) && s.place(i+1) {
			found = true
		}
		s.giveBack(i, n, undo)
	}
	return found
}

// open tells whether node n has room for slot i beside the slots before.
func (s *search) open(i, n int) bool {
	one := s.slots[i]
	if s.isolate && s.uses[n] > 0 && s.groups[one.group].numbered() {
		return false
	}
	for _, w := range one.wants {
		if s.left[n*len(s.classes)+w.class] < w.amount {
			return false
		}
	}
	return true
}

func (s *search) take(i, n int) []subtreeState {
	for _, w := range s.slots[i].wants {
		s.left[n*len(s.classes)+w.class] -= w.amount
	}
	s.chosen = append(s.chosen, n)
	if s.groups[s.slots[i].group].numbered() {
		s.uses[n]++
		return s.join(s.slots[i].group, n)
	}
	s.cover.add(s, n, 1)
	return nil
}

func (s *search) giveBack(i, n int, undo []subtreeState) {
	for _, w := range s.slots[i].wants {
		s.left[n*len(s.classes)+w.class] += w.amount
	}
	s.chosen = s.chosen[:i]
	if s.groups[s.slots[i].group].numbered() {
		s.uses[n]--
		s.leave(s.slots[i].group, undo)
		return
	}
	s.cover.add(s, n, -1)
}
