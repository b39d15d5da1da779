package placement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// plan is a question that is good, in the form in which it is searched.
type plan struct {
	tree    *Tree
	groups  []planned
	isolate bool
	// subtrees are sets of indexes of groups, each set with two at least: one alone hinders nothing.
	subtrees [][]int
	root     terms
	// classes are all that the groups ask for; a want knows its class by the index.
	classes []string
}

// planned is a group of a plan.
type planned struct {
	suffix string
	wants  []want
	traits terms
	inTree string
}

// want is an amount of one class.
type want struct {
	class, amount int
}

func (g planned) numbered() bool { return g.suffix != "" }

// together tells that several providers may serve the group, which then have its required traits together; what is
// forbidden is so for each.
func (g planned) together() bool { return !g.numbered() && len(g.wants) > 1 }

// name is what a group is called in a sentence.
func (g planned) name() string {
	if g.numbered() {
		return "group " + quote(g.suffix)
	}
	return "the unnumbered group"
}

// newPlan checks a question against all that can be wrong with it, in the order in which placement does. What names
// nobody knows is an error and not a lack of capacity: a typing mistake must not look like a full node.
func newPlan(t *Tree, q Question) (*plan, error) {
	p := &plan{tree: t, isolate: q.GroupPolicy == PolicyIsolate}
	if err := p.checkWhole(q); err != nil {
		return nil, err
	}
	for _, g := range q.Groups {
		if err := p.addGroup(g); err != nil {
			return nil, err
		}
	}
	if err := p.addRoot(q.RootRequired); err != nil {
		return nil, err
	}
	if err := p.addSubtrees(q.SameSubtree); err != nil {
		return nil, err
	}
	if err := cmp.Or(p.checkTraits(), p.checkPolicy(q), p.checkNames()); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *plan) checkWhole(q Question) error {
	switch {
	case len(q.Groups) > maxGroups:
		return bad(TooLarge, "there are %d groups; %d are the most", len(q.Groups), maxGroups)
	case len(q.SameSubtree) > maxSubtrees:
		return bad(TooLarge, "same_subtree has %d sets; %d are the most", len(q.SameSubtree), maxSubtrees)
	case q.GroupPolicy != "" && q.GroupPolicy != PolicyNone && q.GroupPolicy != PolicyIsolate:
		return bad(GroupPolicyInvalid, "group_policy is %s or %s, not %s", PolicyNone, PolicyIsolate, quote(q.GroupPolicy))
	case q.Limit < 0:
		return bad(BadLimit, "limit must be at least 1, not %d", q.Limit)
	}
	for _, n := range p.tree.nodes {
		if n.traits[sharingTrait] && len(n.aggregates) > 0 {
			return bad(NotSupported, "provider %s shares its inventories through aggregates (%s), which is not supported", quote(n.name), sharingTrait)
		}
	}
	return nil
}

func (p *plan) addGroup(g Group) error {
	added := planned{suffix: g.Suffix, inTree: g.InTree}
	switch {
	case g.Suffix != "" && !plainSuffix.MatchString(g.Suffix):
		return bad(BadSuffix, "%s cannot name a group: A-Z, a-z, 0-9, _ and - only, 64 at most", quote(g.Suffix))
	case p.index(g.Suffix) >= 0:
		return bad(BadSuffix, "%s is there twice", added.name())
	case len(g.MemberOf) > 0:
		return bad(NotSupported, "%s: member_of is not supported", added.name())
	case len(g.Resources) > maxClassesOfGroup:
		return bad(TooLarge, "%s asks for %d resource classes; %d are the most", added.name(), len(g.Resources), maxClassesOfGroup)
	case len(g.Resources) == 0 && len(g.Required) == 0 && g.InTree == "":
		return bad(EmptyGroup, "%s asks for nothing", added.name())
	}
	for _, class := range g.classes() {
		amount := g.Resources[class]
		if amount < 1 || amount > MaxInt {
			return bad(BadAmount, "%s: %s must be 1 to %d, not %d", added.name(), quote(class), MaxInt, amount)
		}
		added.wants = append(added.wants, want{class: p.class(class), amount: amount})
	}
	if len(p.classes) > maxClasses {
		return bad(TooLarge, "there are %d resource classes; %d are the most", len(p.classes), maxClasses)
	}
	var err error
	if added.traits, err = parseTerms(g.Required, true); err != nil {
		return at(added.name(), err)
	}
	if count := added.traits.traits(); count > maxTraitsOfGroup {
		return bad(TooLarge, "%s names %d traits; %d are the most", added.name(), count, maxTraitsOfGroup)
	}
	p.groups = append(p.groups, added)
	return nil
}

// class is the index of a class, which is noted when it is new.
func (p *plan) class(name string) int {
	i := slices.Index(p.classes, name)
	if i < 0 {
		i = len(p.classes)
		p.classes = append(p.classes, name)
	}
	return i
}

// index finds a group; -1 when there is none.
func (p *plan) index(suffix string) int {
	return slices.IndexFunc(p.groups, func(g planned) bool { return g.suffix == suffix })
}

func (p *plan) addRoot(text string) error {
	if text == "" {
		return nil
	}
	var err error
	if p.root, err = parseTerms([]string{text}, false); err != nil {
		return at("root_required", err)
	}
	if p.root.traits() > maxTraitsOfGroup {
		return bad(TooLarge, "root_required names %d traits; %d are the most", p.root.traits(), maxTraitsOfGroup)
	}
	if conflict := p.root.conflict(); conflict != nil {
		return bad(TraitConflict, "root_required wants %s and forbids it", conflict[0])
	}
	return nil
}

// addSubtrees checks the sets and what groups without resources need of them.
func (p *plan) addSubtrees(sets [][]string) error {
	for _, set := range sets {
		if len(set) == 0 || slices.Contains(set, "") {
			return bad(SameSubtreeEmpty, "same_subtree names groups by their suffixes; the unnumbered group has none and cannot be in it")
		}
	}
	if !slices.ContainsFunc(p.groups, func(g planned) bool { return len(g.wants) > 0 }) {
		return bad(NoResources, "no group asks for resources")
	}
	named := setOf(slices.Concat(sets...)...)
	for _, g := range p.groups {
		if len(g.wants) == 0 && !named[g.suffix] {
			return bad(ResourcelessGroupLoose, "%s asks for no resources and is in no same_subtree", g.name())
		}
	}
	for _, set := range sets {
		var members []int
		for _, suffix := range set {
			i := p.index(suffix)
			if i < 0 {
				return bad(SameSubtreeUnknown, "same_subtree names the group %s, which is not there", quote(suffix))
			}
			if !slices.Contains(members, i) {
				members = append(members, i)
			}
		}
		if len(members) > 1 {
			p.subtrees = append(p.subtrees, members)
		}
	}
	return nil
}

func (p *plan) checkTraits() error {
	for _, g := range p.groups {
		if conflict := g.traits.conflict(); conflict != nil {
			return bad(TraitConflict, "%s wants %s and forbids it", g.name(), strings.Join(conflict, " or "))
		}
	}
	return nil
}

func (p *plan) checkPolicy(q Question) error {
	numbered := 0
	for _, g := range p.groups {
		if g.numbered() {
			numbered++
		}
	}
	if numbered > 1 && q.GroupPolicy == "" {
		return bad(GroupPolicyMissing, "%d numbered groups need a group_policy: %s or %s", numbered, PolicyNone, PolicyIsolate)
	}
	return nil
}

func (p *plan) checkNames() error {
	for _, class := range p.classes {
		if !p.tree.knowsClass(class) {
			return bad(UnknownResourceClass, "nobody knows the resource class %s", quote(class))
		}
	}
	for _, g := range p.groups {
		if name := g.traits.unknown(p.tree); name != "" {
			return bad(UnknownTrait, "%s: nobody knows the trait %s", g.name(), quote(name))
		}
	}
	if name := p.root.unknown(p.tree); name != "" {
		return bad(UnknownTrait, "root_required: nobody knows the trait %s", quote(name))
	}
	return nil
}

// asks writes what a group asks for, such as 1 SRIOV_NET_VF and 1000 NET_BW_EGR_KILOBIT_PER_SEC.
func (p *plan) asks(wants []want) string {
	parts := make([]string, len(wants))
	for i, w := range wants {
		parts[i] = fmt.Sprintf("%d %s", w.amount, p.classes[w.class])
	}
	return strings.Join(parts, " and ")
}
