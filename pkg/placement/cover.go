package placement

import "slices"

// cover counts, for each required term of the unnumbered group, the providers chosen for the group that meet it: they
// must do so together.
type cover struct {
	terms [][]string
	met   []int
	// first and last are the group's slots; -1 without an unnumbered group.
	first, last int
	// hope tells, by slot, which terms it or one after it could meet.
	hope [][]bool
}

func newCover(s *search) cover {
	c := cover{first: -1, last: -1}
	for i, one := range s.slots {
		group := s.groups[one.group]
		if group.numbered() {
			continue
		}
		if c.first < 0 {
			c.first = i
		}
		c.last, c.terms = i, group.traits.anyOf
	}
	if len(c.terms) == 0 {
		return c
	}
	c.met = make([]int, len(c.terms))
	c.hope = make([][]bool, len(s.slots)+1)
	c.hope[c.last+1] = make([]bool, len(c.terms))
	for i := c.last; i >= c.first; i-- {
		c.hope[i] = slices.Clone(c.hope[i+1])
		for _, n := range s.slots[i].domain {
			for k, term := range c.terms {
				c.hope[i][k] = c.hope[i][k] || hasAny(s.tree.nodes[n].traits, term)
			}
		}
	}
	return c
}

func hasAny(traits map[string]bool, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return traits[name] })
}

// add counts node n in, or out again.
func (c *cover) add(s *search, n, count int) {
	for k, term := range c.terms {
		if hasAny(s.tree.nodes[n].traits, term) {
			c.met[k] += count
		}
	}
}

// possible tells, once slot i is placed, whether all terms are met or still can be.
func (c *cover) possible(s *search, i int) bool {
	if s.groups[s.slots[i].group].numbered() {
		return true
	}
	for k := range c.terms {
		if c.met[k] == 0 && !c.hope[i+1][k] {
			return false
		}
	}
	return true
}

// position adds what slots from i on must know: which terms are met, as long as the group has slots to come.
func (c *cover) position(key []byte, i int) []byte {
	if i > c.last {
		return key
	}
	for _, met := range c.met {
		key = append(key, byte(min(met, 1)))
	}
	return key
}
