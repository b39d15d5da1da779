package placement

import (
	"maps"
	"slices"
	"strings"
)

// Bounds of a question: whoever asks may be a stranger.
const (
	maxGroups         = 64
	maxClassesOfGroup = 32
	maxClasses        = 64
	maxTraitsOfGroup  = 128
	maxSubtrees       = 64
)

// The group policies.
const (
	// PolicyNone lets numbered groups share a provider.
	PolicyNone = "none"
	// PolicyIsolate puts all numbered groups on different providers, resourceless ones among them; the unnumbered group
	// is not bound.
	PolicyIsolate = "isolate"
)

// Question asks for allocation candidates.
type Question struct {
	// Groups are in the order in which they choose a provider; the set of candidates does not depend on it.
	Groups []Group
	// GroupPolicy is none or isolate; it may be empty with fewer than two numbered groups.
	GroupPolicy string
	// SameSubtree are sets of suffixes: of the providers that serve a set, one must be above all others or be them.
	SameSubtree [][]string
	// RootRequired is about the traits of the root, in the form "A,B,!C".
	RootRequired string
	// Limit bounds the number of candidates; 0 leaves that to Options.
	Limit int
}

// Group is one part of a question.
type Group struct {
	// Suffix is the group's name, [A-Za-z0-9_-]{1,64}. One provider serves all of such a numbered group, and itself has
	// all the required traits and none that is forbidden. The group without a suffix is the unnumbered one: each class
	// is served by any provider of the tree, the required traits are met by those providers together, and none of them
	// has a forbidden one.
	Suffix string
	// Resources are amounts by class, 1 to MaxInt. A numbered group without any is a placeholder for a provider that
	// same_subtree needs; it takes nothing.
	Resources map[string]int
	// Required are terms as placement's query has them: "A,B,!C" is A and B and not C; "in:A,B" is A or B. All terms
	// must hold.
	Required []string
	// InTree names a provider; the group is served from the tree that it is in, by any provider of it.
	InTree string
	// MemberOf is not supported.
	MemberOf []string
}

// RequiredStrings writes traits as the terms of Group.Required.
func RequiredStrings(required, forbidden []string, anyOf [][]string) []string {
	var terms []string
	if len(required) > 0 {
		terms = append(terms, strings.Join(required, ","))
	}
	if len(forbidden) > 0 {
		terms = append(terms, "!"+strings.Join(forbidden, ",!"))
	}
	for _, alternatives := range anyOf {
		terms = append(terms, "in:"+strings.Join(alternatives, ","))
	}
	return terms
}

// terms are traits as they are wanted: of each list in anyOf one, none of those forbidden. A required trait is a list
// of one.
type terms struct {
	anyOf     [][]string
	forbidden []string
}

// parseTerms reads the strings of Group.Required, or that of RootRequired, which knows no "in:".
func parseTerms(texts []string, alternatives bool) (terms, error) {
	var all terms
	for _, text := range texts {
		if list, found := strings.CutPrefix(text, "in:"); found {
			if !alternatives {
				return terms{}, bad(BadTraitSyntax, "%s: root_required knows no \"in:\"", quote(text))
			}
			names, err := splitTraits(text, list)
			if err != nil {
				return terms{}, err
			}
			if slices.ContainsFunc(names, func(name string) bool { return name[0] == '!' }) {
				return terms{}, bad(BadTraitSyntax, "%s: alternatives cannot be forbidden; forbid a trait by itself: \"!TRAIT\"", quote(text))
			}
			all.anyOf = append(all.anyOf, names)
			continue
		}
		names, err := splitTraits(text, text)
		if err != nil {
			return terms{}, err
		}
		for _, name := range names {
			if forbidden, found := strings.CutPrefix(name, "!"); found {
				all.forbidden = append(all.forbidden, forbidden)
			} else {
				all.anyOf = append(all.anyOf, []string{name})
			}
		}
	}
	return all, nil
}

func splitTraits(whole, list string) ([]string, error) {
	names := strings.Split(list, ",")
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		switch {
		case names[i] == "" || names[i] == "!":
			return nil, bad(BadTraitSyntax, "%s has an empty trait; write \"TRAIT,!TRAIT\" or \"in:TRAIT,TRAIT\"", quote(whole))
		case strings.HasPrefix(names[i], "!!"):
			return nil, bad(BadTraitSyntax, "%s: one exclamation mark forbids a trait", quote(whole))
		}
	}
	return names, nil
}

// conflict is a term that can never hold, since all its alternatives are forbidden; nil when there is none.
func (w terms) conflict() []string {
	for _, alternatives := range w.anyOf {
		if !slices.ContainsFunc(alternatives, func(name string) bool { return !slices.Contains(w.forbidden, name) }) {
			return alternatives
		}
	}
	return nil
}

// unknown is a trait that nobody knows, "" when there is none.
func (w terms) unknown(t *Tree) string {
	for _, name := range slices.Concat(append(w.anyOf, w.forbidden)...) {
		if !t.knowsTrait(name) {
			return name
		}
	}
	return ""
}

// misses says what traits lack for the terms, or have too much, or nothing.
func (w terms) misses(traits map[string]bool) string {
	for _, alternatives := range w.anyOf {
		if slices.ContainsFunc(alternatives, func(name string) bool { return traits[name] }) {
			continue
		}
		if len(alternatives) == 1 {
			return "lacks " + alternatives[0]
		}
		return "has none of " + strings.Join(alternatives, ", ")
	}
	return w.barred(traits)
}

// barred says which forbidden trait there is, or nothing.
func (w terms) barred(traits map[string]bool) string {
	for _, name := range w.forbidden {
		if traits[name] {
			return "has " + name + ", which is forbidden"
		}
	}
	return ""
}

// traits counts the names in the terms.
func (w terms) traits() int {
	count := len(w.forbidden)
	for _, alternatives := range w.anyOf {
		count += len(alternatives)
	}
	return count
}

// classes are the resource classes of a group, sorted.
func (g Group) classes() []string { return slices.Sorted(maps.Keys(g.Resources)) }
