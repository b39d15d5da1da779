package placement_test

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

// world is what a question is asked of: the providers, and every trait and class that is known by name (R9, R13).
type world struct {
	providers []placement.Provider
	known     map[string]bool
}

// newWorld knows the names its providers carry, and the given ones.
func newWorld(providers []placement.Provider, known ...string) world {
	w := world{providers: providers, known: map[string]bool{}}
	for _, p := range providers {
		known = slices.Concat(known, p.Traits, slices.Collect(maps.Keys(p.Inventories)))
	}
	for _, name := range known {
		w.known[name] = true
	}
	return w
}

// ask reads the rules word by word and tries every assignment there is, because what it checks is a search that leaves
// assignments out. It shares nothing with that search but the types of the question. The candidates are texts, as
// candidateText writes them; codes are all that is wrong with the question, in any order: which of them is told first is free.
func (w world) ask(q placement.Question) (candidates []string, codes []placement.Code) {
	if codes := w.faults(q); len(codes) > 0 {
		return nil, codes
	}
	for a := range w.assignments(q) {
		if w.unitsFit(a) && w.oneTree(q, a) && w.sumsFit(a) && w.traitsFit(a) && isolated(q, a) && w.subtreesFit(q, a) {
			candidates = append(candidates, a.text(w))
		}
	}
	slices.Sort(candidates)
	return slices.Compact(candidates), nil
}

// choice puts one class of a group, or a whole numbered group, on the provider of that index.
type choice struct {
	group     placement.Group
	resources map[string]int
	provider  int
}

type assignment []choice

// assignments are all of them: a numbered group has one provider (R16, R20), the unnumbered one has a provider for each class (R15).
func (w world) assignments(q placement.Question) func(yield func(assignment) bool) {
	var a assignment
	for _, g := range q.Groups {
		if g.Suffix != "" {
			a = append(a, choice{group: g, resources: g.Resources})
			continue
		}
		for class, amount := range g.Resources {
			a = append(a, choice{group: g, resources: map[string]int{class: amount}})
		}
	}
	return func(yield func(assignment) bool) {
		for range int(math.Pow(float64(len(w.providers)), float64(len(a)))) {
			if !yield(a) {
				return
			}
			for i := range a { // counts on, as an odometer
				a[i].provider = (a[i].provider + 1) % len(w.providers)
				if a[i].provider != 0 {
					break
				}
			}
		}
	}
}

func (w world) index(name string) int {
	return slices.IndexFunc(w.providers, func(p placement.Provider) bool { return p.Name == name })
}

// ancestors are a provider's own index, its parent's and so on up to its root.
func (w world) ancestors(i int) []int {
	if parent := w.providers[i].Parent; parent != "" {
		return append([]int{i}, w.ancestors(w.index(parent))...)
	}
	return []int{i}
}

func (w world) root(i int) int {
	up := w.ancestors(i)
	return up[len(up)-1]
}

// oneTree is R17, R22 and R23: one root for all, the one that a group's in_tree means, with the traits asked of the root.
func (w world) oneTree(q placement.Question, a assignment) bool {
	for _, c := range a {
		if w.root(c.provider) != w.root(a[0].provider) {
			return false
		}
		if in := c.group.InTree; in != "" && (w.index(in) < 0 || w.root(w.index(in)) != w.root(c.provider)) {
			return false
		}
	}
	return q.RootRequired == "" || w.carry([]int{w.root(a[0].provider)}, []string{q.RootRequired})
}

// unitsFit is R5 and R7 for each group alone, R8 included: the provider itself has the class, or nobody answers for it.
func (w world) unitsFit(a assignment) bool {
	for _, c := range a {
		for class, amount := range c.resources {
			if have, ok := w.providers[c.provider].Inventories[class]; !ok || !unitsOf(have, amount) {
				return false
			}
		}
	}
	return true
}

func unitsOf(i placement.Inventory, amount int) bool {
	return amount >= i.MinUnit && amount <= i.MaxUnit && amount%i.StepSize == 0
}

// capacity is R6.
func capacity(i placement.Inventory) int {
	return int(math.Floor(float64(i.Total-i.Reserved) * i.AllocationRatio))
}

// sumsFit is R19: what all groups together take of a provider's class.
func (w world) sumsFit(a assignment) bool {
	for provider, amounts := range a.sums() {
		for class, sum := range amounts {
			have := w.providers[provider].Inventories[class]
			if have.Used+sum > capacity(have) || sum > have.MaxUnit {
				return false
			}
		}
	}
	return true
}

func (a assignment) sums() map[int]map[string]int {
	sums := map[int]map[string]int{}
	for _, c := range a {
		for class, amount := range c.resources {
			if sums[c.provider] == nil {
				sums[c.provider] = map[string]int{}
			}
			sums[c.provider][class] += amount
		}
	}
	return sums
}

// traitsFit is R10, R15 and R16: the providers of each group carry its traits between them; a numbered group has only one.
func (w world) traitsFit(a assignment) bool {
	for _, c := range a {
		if !w.carry(a.of(c.group.Suffix), c.group.Required) {
			return false
		}
	}
	return true
}

// of are the providers of a group.
func (a assignment) of(suffix string) (providers []int) {
	for _, c := range a {
		if c.group.Suffix == suffix {
			providers = append(providers, c.provider)
		}
	}
	return providers
}

// carry is R11: each term is met by one of the providers at least, and none of them carries what is forbidden.
func (w world) carry(providers []int, required []string) bool {
	var traits []string
	for _, i := range providers {
		traits = append(traits, w.providers[i].Traits...)
	}
	has := func(trait string) bool { return slices.Contains(traits, trait) }
	terms, forbidden, _ := readRequired(required)
	for _, anyOf := range terms {
		if !slices.ContainsFunc(anyOf, has) {
			return false
		}
	}
	return !slices.ContainsFunc(forbidden, has)
}

// isolated is R18; groups without resources count, the unnumbered one does not.
func isolated(q placement.Question, a assignment) bool {
	for i, one := range a {
		for _, other := range a[i+1:] {
			if q.GroupPolicy == "isolate" && one.group.Suffix != "" && other.group.Suffix != "" && one.provider == other.provider {
				return false
			}
		}
	}
	return true
}

// subtreesFit is R21: one of the providers is above all of them, or is the only one.
func (w world) subtreesFit(q placement.Question, a assignment) bool {
	for _, suffixes := range q.SameSubtree {
		var providers []int
		for _, suffix := range suffixes {
			providers = append(providers, a.of(suffix)...)
		}
		above := func(top int) bool {
			return !slices.ContainsFunc(providers, func(i int) bool { return !slices.Contains(w.ancestors(i), top) })
		}
		if !slices.ContainsFunc(providers, above) {
			return false
		}
	}
	return true
}

// text is the assignment as a candidate, R25: the sums, and the providers of each group.
func (a assignment) text(w world) string {
	c := placement.Candidate{Allocations: map[string]map[string]int{}, Mappings: map[string][]string{}}
	for provider, amounts := range a.sums() {
		c.Allocations[w.providers[provider].Name] = amounts
	}
	for _, one := range a {
		var names []string
		for _, i := range a.of(one.group.Suffix) {
			names = append(names, w.providers[i].Name)
		}
		slices.Sort(names)
		c.Mappings[one.group.Suffix] = slices.Compact(names)
	}
	return candidateText(c)
}

// candidateText is equal for equal candidates: fmt sorts maps.
func candidateText(c placement.Candidate) string {
	return fmt.Sprintf("%q takes %v", c.Mappings, c.Allocations)
}

var traitName = regexp.MustCompile(`^[A-Z0-9_]{1,255}$`)

// readRequired is R11, with the syntax that DEV-10 would keep out.
func readRequired(required []string) (terms [][]string, forbidden []string, ok bool) {
	ok = true
	for _, text := range required {
		names, isAnyOf := strings.CutPrefix(text, "in:")
		var plain []string
		for name := range strings.SplitSeq(names, ",") {
			name, not := strings.CutPrefix(name, "!")
			ok = ok && traitName.MatchString(name) && !(not && isAnyOf)
			if not {
				forbidden = append(forbidden, name)
			} else {
				plain = append(plain, name)
			}
		}
		if isAnyOf {
			terms = append(terms, plain)
			continue
		}
		for _, name := range plain {
			terms = append(terms, []string{name})
		}
	}
	return terms, forbidden, ok
}
