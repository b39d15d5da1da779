package placement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxListed bounds how many providers one sentence lists.
const maxListed = 32

// unfit says why node i alone keeps wants of a group from being served, whatever the other groups take, or nothing.
func (p *plan) unfit(i int, g planned, wants []want) string {
	n := p.tree.nodes[i]
	for _, w := range wants {
		if n.stock[p.classes[w.class]] == nil {
			return "has no " + p.classes[w.class]
		}
	}
	lack := g.traits.misses(n.traits)
	if g.together() {
		lack = g.traits.barred(n.traits)
	}
	if lack != "" {
		return lack
	}
	for _, w := range wants {
		class := p.classes[w.class]
		inventory := n.stock[class]
		if reason := cmp.Or(inventory.unfit(class, w.amount), inventory.short(class, w.amount)); reason != "" {
			return reason
		}
	}
	return ""
}

// reasons are the sentences of a result.
func (p *plan) reasons(r Result, o Options, asked int) []string {
	switch {
	case r.CutShort && len(r.Candidates) > 0:
		return []string{fmt.Sprintf("the search was ended after %d steps: there may be more candidates than these", o.MaxSteps)}
	case r.CutShort:
		return []string{fmt.Sprintf("the search was ended after %d steps: none was found, and one may exist", o.MaxSteps)}
	case r.More && asked != o.Limit:
		return []string{fmt.Sprintf("there are more candidates than these %d", o.Limit)}
	case len(r.Candidates) > 0:
		return nil
	case len(p.tree.roots) == 0:
		return []string{"there are no providers"}
	}
	roots, reasons := p.eligible()
	if len(roots) == 0 {
		return reasons
	}
	for g := range p.groups {
		reasons = append(reasons, p.reasonsAlone(g, roots)...)
	}
	if len(reasons) > 0 {
		return reasons
	}
	return p.reasonsTogether(o)
}

// eligible are the roots that are as root_required wants them, or else the reasons.
func (p *plan) eligible() (roots []int, reasons []string) {
	for _, root := range p.tree.roots {
		n := p.tree.nodes[root]
		if lack := p.root.misses(n.traits); lack != "" {
			reasons = append(reasons, fmt.Sprintf("root_required: %s %s", n.name, lack))
		} else {
			roots = append(roots, root)
		}
	}
	if len(roots) > 0 {
		return roots, nil
	}
	return nil, listed(reasons)
}

// reasonsAlone say why no tree could serve a group even alone; nothing when one could.
func (p *plan) reasonsAlone(g int, roots []int) []string {
	group := p.groups[g]
	if group.inTree != "" {
		i, found := p.tree.byName[group.inTree]
		if !found {
			return []string{fmt.Sprintf("%s: in_tree names %s, and no provider has that name", group.name(), quote(group.inTree))}
		}
		if roots = []int{p.tree.nodes[i].root}; p.root.misses(p.tree.nodes[roots[0]].traits) != "" {
			return []string{fmt.Sprintf("%s: in_tree names a tree whose root root_required does not admit", group.name())}
		}
	}
	var parts [][]want
	if group.numbered() {
		parts = [][]want{group.wants}
	} else {
		for w := range group.wants {
			parts = append(parts, group.wants[w:w+1])
		}
	}
	for _, wants := range parts {
		if reasons, served := p.reasonsOf(group, wants, roots); !served {
			return []string{fmt.Sprintf("%s: no provider can %s: %s", group.name(), p.need(group, wants), strings.Join(listed(reasons), "; "))}
		}
	}
	if group.numbered() {
		return nil
	}
	switch alone := p.without(func(q *plan) { q.only(g) }); {
	case alone.any():
		return nil
	case alone.CutShort:
		return []string{group.name() + ": a short search did not tell whether it could be served alone"}
	}
	if lack := p.unmet(group, roots); lack != "" {
		return []string{fmt.Sprintf("%s: whoever could serve it %s", group.name(), lack)}
	}
	return []string{group.name() + ": each of its classes could be served, but not all in one tree by providers that have " +
		"the required traits together"}
}

// need is what a sentence says that no provider can do for a group.
func (p *plan) need(g planned, wants []want) string {
	if len(wants) > 0 {
		return "alone give " + p.asks(wants)
	}
	return "be its placeholder"
}

// reasonsOf lists what each provider of the trees lacks for wants of a group; served tells that one lacks nothing.
// Providers that have none of the classes are no news where others have.
func (p *plan) reasonsOf(g planned, wants []want, roots []int) (reasons []string, served bool) {
	for _, root := range roots {
		for _, i := range p.tree.members[root] {
			n := p.tree.nodes[i]
			lack := p.unfit(i, g, wants)
			if lack == "" {
				return nil, true
			}
			stocked := func(w want) bool { return n.stock[p.classes[w.class]] != nil }
			if len(wants) == 0 || slices.ContainsFunc(wants, stocked) {
				reasons = append(reasons, n.name+" "+lack)
			}
		}
	}
	if len(reasons) == 0 {
		return []string{"none has any"}, false
	}
	return reasons, false
}

// unmet says which required trait none of those has that could serve a class of the unnumbered group.
func (p *plan) unmet(g planned, roots []int) string {
	traits := map[string]bool{}
	for _, root := range roots {
		for _, i := range p.tree.members[root] {
			for w := range g.wants {
				if p.unfit(i, g, g.wants[w:w+1]) == "" {
					for trait := range p.tree.nodes[i].traits {
						traits[trait] = true
					}
				}
			}
		}
	}
	return g.traits.misses(traits)
}

// relaxed is what a question answers with less asked for.
type relaxed struct{ Result }

func (r relaxed) any() bool { return len(r.Candidates) > 0 }

// without asks again with less.
func (p *plan) without(change func(*plan)) relaxed {
	q := *p
	change(&q)
	return relaxed{q.run(Options{Limit: 1, MaxSteps: DefaultSteps / 4}, false)}
}

// only leaves one group.
func (p *plan) only(g int) {
	p.groups, p.subtrees, p.isolate = p.groups[g:g+1], nil, false
}

// reasonsTogether say why groups that could each be served alone cannot be together: which rule is in the way, and what
// is left.
func (p *plan) reasonsTogether(o Options) []string {
	each := "each group alone could be served, but not all of them together"
	isolate, subtrees := p.isolate, len(p.subtrees) > 0
	apart, near := " on different providers (group_policy isolate)", " within one subtree (same_subtree)"
	switch {
	case isolate && p.without(func(q *plan) { q.isolate = false }).any():
		return []string{each + apart}
	case subtrees && p.without(func(q *plan) { q.subtrees = nil }).any():
		return []string{each + near}
	case isolate && subtrees && p.without(func(q *plan) { q.isolate, q.subtrees = false, nil }).any():
		return []string{each + apart + " and" + near}
	}
	if len(p.tree.roots) > 1 {
		each += " in one tree"
	}
	reasons := []string{each}
	for c, class := range p.classes {
		if sum := p.sum(c); sum.groups > 1 {
			reasons = append(reasons, fmt.Sprintf("%d %s are asked for in all: %s", sum.amount, class, strings.Join(listed(p.stocks(c)), "; ")))
		}
	}
	return reasons
}

type demand struct{ amount, groups int }

func (p *plan) sum(class int) demand {
	var sum demand
	for _, g := range p.groups {
		if amount := (slot{wants: g.wants}).amount(class); amount > 0 {
			sum.amount, sum.groups = sum.amount+amount, sum.groups+1
		}
	}
	return sum
}

// stocks tell what each provider has of a class that could serve one of the groups alone.
func (p *plan) stocks(class int) []string {
	var stocks []string
	for i, n := range p.tree.nodes {
		inventory := n.stock[p.classes[class]]
		if inventory == nil || !slices.ContainsFunc(p.groups, func(g planned) bool { return p.serves(i, g, class) }) {
			continue
		}
		text := fmt.Sprintf("%s has %d of %d in use", n.name, inventory.Used, inventory.Capacity())
		if inventory.MaxUnit < inventory.free() {
			text += fmt.Sprintf(" and gives out at most %d at a time (max_unit)", inventory.MaxUnit)
		}
		stocks = append(stocks, text)
	}
	return stocks
}

// serves tells whether node i could alone give what a group asks for of a class.
func (p *plan) serves(i int, g planned, class int) bool {
	w := slices.IndexFunc(g.wants, func(w want) bool { return w.class == class })
	switch {
	case w < 0:
		return false
	case g.numbered():
		return p.unfit(i, g, g.wants) == ""
	}
	return p.unfit(i, g, g.wants[w:w+1]) == ""
}

// listed cuts a list that is too long for a sentence.
func listed(parts []string) []string {
	if len(parts) <= maxListed {
		return parts
	}
	return append(slices.Clone(parts[:maxListed]), fmt.Sprintf("and %d more", len(parts)-maxListed))
}
