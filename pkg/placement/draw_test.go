package placement_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

var (
	drawnClasses = []string{"SRIOV_NET_VF", "NET_BW_EGR_KILOBIT_PER_SEC", "CUSTOM_SLOT"}
	drawnTraits  = []string{"CUSTOM_A", "CUSTOM_B", "CUSTOM_C", "HW_NUMA_ROOT"}
	// unborneTrait and unborneClass are registered, and nobody has them.
	unborneTrait, unborneClass = "CUSTOM_NOBODY", "CUSTOM_NOTHING"
)

// eighth is drawn with fair coins: of a range of numbers, rapid draws the small ones more often.
var eighth = rapid.Custom(func(t *rapid.T) (n int) {
	for range 3 {
		n *= 2
		if rapid.Bool().Draw(t, "") {
			n++
		}
	}
	return n
})

// chance is true n times of eight. It shrinks to false.
func chance(t *rapid.T, n int, label string) bool { return eighth.Draw(t, label) >= 8-n }

// drawProviders draws a tree or several.
func drawProviders(t *rapid.T) (providers []placement.Provider) {
	for i := range rapid.SampledFrom([]int{5, 4, 6, 3, 7, 2, 1}).Draw(t, "providers") {
		p := placement.Provider{Name: fmt.Sprint("p", i), Inventories: map[string]placement.Inventory{}}
		if i > 0 && !(i > 2 && chance(t, 1, "another root")) {
			p.Parent = fmt.Sprint("p", rapid.IntRange(0, i-1).Draw(t, "parent"))
		}
		for _, trait := range drawnTraits {
			if chance(t, 4, trait) {
				p.Traits = append(p.Traits, trait)
			}
		}
		for _, class := range drawnClasses {
			if chance(t, 7, class) {
				p.Inventories[class] = drawInventory(t)
			}
		}
		providers = append(providers, p)
	}
	return providers
}

// drawInventory draws one with few units, so that sums reach the capacity; some are drained, over-committed, or used beyond their capacity.
func drawInventory(t *rapid.T) placement.Inventory {
	i := placement.NewInventory(rapid.SampledFrom([]int{4, 8, 3, 6, 2, 1}).Draw(t, "total"))
	if chance(t, 1, "odd units") {
		i.MinUnit = rapid.IntRange(1, 2).Draw(t, "min_unit")
		i.StepSize = rapid.IntRange(1, 2).Draw(t, "step_size")
		i.MaxUnit = rapid.IntRange(1, 4).Draw(t, "max_unit")
	}
	if chance(t, 1, "odd capacity") {
		i.Reserved = rapid.IntRange(0, i.Total).Draw(t, "reserved")
		i.AllocationRatio = rapid.SampledFrom([]float64{0.5, 1, 1.5, 2}).Draw(t, "ratio")
	}
	if chance(t, 1, "in use") {
		i.Used = rapid.IntRange(0, i.Total+1).Draw(t, "used")
	}
	return i
}

// drawWorld knows all the names that questions have without a mistake.
func drawWorld(t *rapid.T) world {
	return newWorld(drawProviders(t), slices.Concat(drawnClasses, drawnTraits, []string{unborneTrait, unborneClass})...)
}

// engineTree is the world as the package knows it.
func engineTree(t *rapid.T, w world) *placement.Tree {
	tree, err := placement.NewTree(w.providers)
	if err == nil {
		err = tree.Register(append(drawnTraits[:3:3], unborneTrait), []string{unborneClass, drawnClasses[2]})
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, worldText(w, placement.Question{}))
	}
	return tree
}

// drawQuestion draws a small one, so that many can be served, and at times one with a mistake.
func drawQuestion(t *rapid.T, w world) (q placement.Question) {
	suffixes := rapid.SampledFrom([][]string{
		{"a", "b"}, {"", "a"}, {"a", "b", "c"}, {"", "a", "b"}, {""}, {"a"}, {"a", "b", "c", "d"}, {"", "a", "b", "c"},
	}).Draw(t, "groups")
	for _, suffix := range suffixes {
		q.Groups = append(q.Groups, drawGroup(t, w, suffix))
	}
	q.GroupPolicy = rapid.SampledFrom([]string{"none", "isolate", "none"}).Draw(t, "group_policy")
	if chance(t, 1, "root_required") {
		q.RootRequired = rapid.SampledFrom([]string{"CUSTOM_A", "!CUSTOM_B", "HW_NUMA_ROOT,!CUSTOM_C"}).Draw(t, "root traits")
	}
	numbered := slices.DeleteFunc(slices.Clone(suffixes), func(s string) bool { return s == "" })
	if len(numbered) > 1 && chance(t, 2, "same_subtree") {
		for range rapid.SampledFrom([]int{1, 1, 2}).Draw(t, "sets") {
			q.SameSubtree = append(q.SameSubtree, rapid.SliceOfN(rapid.SampledFrom(numbered), 1, 4).Draw(t, "set"))
		}
	}
	for i, g := range q.Groups { // a group in a set may do without resources
		if i > 0 && slices.Contains(slices.Concat(q.SameSubtree...), g.Suffix) && (len(g.Required) > 0 || g.InTree != "") && chance(t, 4, "resourceless") {
			q.Groups[i].Resources = nil
		}
	}
	if chance(t, 1, "mistake") {
		mistake(t, &q)
	}
	return q
}

func drawGroup(t *rapid.T, w world, suffix string) placement.Group {
	g := placement.Group{Suffix: suffix, Resources: map[string]int{}}
	for range rapid.SampledFrom([]int{1, 1, 1, 1, 2, 3}).Draw(t, "classes") {
		class := rapid.SampledFrom(drawnClasses).Draw(t, "class")
		g.Resources[class] = rapid.SampledFrom([]int{1, 1, 1, 1, 1, 1, 2, 2, 3, 4}).Draw(t, "amount")
	}
	if chance(t, 1, "another class") && chance(t, 1, "a class that nobody has") {
		g.Resources[unborneClass] = 1
	}
	for range rapid.SampledFrom([]int{0, 1, 0, 0, 1, 2}).Draw(t, "required") {
		g.Required = append(g.Required, rapid.SampledFrom([]string{
			"in:CUSTOM_A,CUSTOM_B", "CUSTOM_A", "!CUSTOM_C", "CUSTOM_B", "in:CUSTOM_B,CUSTOM_C", "HW_NUMA_ROOT", "!CUSTOM_B",
			"CUSTOM_A,!CUSTOM_C", "CUSTOM_B,CUSTOM_A", "in:CUSTOM_C", "!" + unborneTrait, "in:CUSTOM_A," + unborneTrait, unborneTrait,
		}).Draw(t, "traits"))
	}
	if chance(t, 1, "in_tree") {
		g.InTree = rapid.SampledFrom(append(names(w), "elsewhere")).Draw(t, "tree")
	}
	return g
}

func names(w world) (names []string) {
	for _, p := range w.providers {
		names = append(names, p.Name)
	}
	return names
}

// mistake makes a question one of those that are refused, in most cases.
func mistake(t *rapid.T, q *placement.Question) {
	g := &q.Groups[rapid.IntRange(0, len(q.Groups)-1).Draw(t, "mistaken group")]
	require := func(text string) func() { return func() { g.Required = append(g.Required, text) } }
	tie := func(suffixes ...string) func() { return func() { q.SameSubtree = append(q.SameSubtree, suffixes) } }
	rapid.SampledFrom([]func(){
		func() { q.GroupPolicy = "" }, require("!CUSTOM_A,!CUSTOM_B"), func() { g.Resources = nil }, tie("a", "x"), require("CUSTOM_TYPO"),
		func() { g.Resources, g.Required, g.InTree = nil, nil, "" }, require("!CUSTOM_TYPO"), func() { q.GroupPolicy = "spread" },
		require("in:CUSTOM_A,CUSTOM_TYPO"), require("CUSTOM_A,!CUSTOM_A"), require("in:CUSTOM_A,!CUSTOM_B"), require("!!CUSTOM_A"),
		require(""), require("CUSTOM_A,,CUSTOM_B"), require("in:"), require("CUSTOM_A,in:CUSTOM_B"), require("custom_a"),
		func() { g.Resources = map[string]int{"CUSTOM_TYPO": 1} }, func() { g.Resources = map[string]int{drawnClasses[0]: 0} },
		func() { g.Resources = map[string]int{drawnClasses[0]: -1} }, func() { g.Resources = map[string]int{drawnClasses[0]: 1 << 31} },
		func() { g.Suffix = "a b" }, func() { g.Suffix = q.Groups[0].Suffix }, func() { g.Suffix = strings.Repeat("x", 65) }, func() { g.MemberOf = []string{"x"} },
		tie("a", ""), tie(""), tie(), func() { q.RootRequired = "in:CUSTOM_A,CUSTOM_B" }, func() { q.RootRequired = "CUSTOM_TYPO" },
		func() { q.RootRequired = "CUSTOM_A,!CUSTOM_A" }, func() { q.Limit = -1 },
	}).Draw(t, "mistake")()
}

// worldText is a tree as a person draws it, and the question as the case file writes it.
func worldText(w world, q placement.Question) string {
	var b strings.Builder
	var draw func(parent, indent string)
	draw = func(parent, indent string) {
		for _, p := range w.providers {
			if p.Parent != parent {
				continue
			}
			fmt.Fprintf(&b, "%s%s %s", indent, p.Name, p.Traits)
			for _, class := range slices.Sorted(maps.Keys(p.Inventories)) {
				i := p.Inventories[class]
				fmt.Fprintf(&b, " %s: %d used of (%d-%d)*%g, units %d..%d by %d;", class, i.Used, i.Total, i.Reserved, i.AllocationRatio, i.MinUnit, i.MaxUnit, i.StepSize)
			}
			b.WriteString("\n")
			draw(p.Name, indent+"  ")
		}
	}
	draw("", "  ")
	r := oracleRequest{GroupPolicy: q.GroupPolicy, SameSubtree: q.SameSubtree, RootRequired: q.RootRequired, Groups: map[string]oracleGroup{}}
	for _, g := range q.Groups {
		r.Groups[g.Suffix] = oracleGroup{Resources: g.Resources, Required: g.Required, InTree: g.InTree}
	}
	text, _ := json.MarshalIndent(r, "  ", " ") // only strings and numbers
	return fmt.Sprintf("tree:\n%squestion:\n  %s", b.String(), text)
}
