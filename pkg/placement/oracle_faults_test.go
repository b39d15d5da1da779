package placement_test

import (
	"regexp"
	"slices"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

var suffixName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// faults are the bad requests of R11 to R23.
func (w world) faults(q placement.Question) (codes []placement.Code) {
	fault := func(bad bool, code placement.Code) {
		if bad {
			codes = append(codes, code)
		}
	}
	tied := slices.Concat(q.SameSubtree...)
	numbered, withResources := 0, 0
	seen := map[string]bool{}
	for _, g := range q.Groups {
		fault(seen[g.Suffix] || g.Suffix != "" && !suffixName.MatchString(g.Suffix), "bad-suffix")
		seen[g.Suffix] = true
		if g.Suffix != "" {
			numbered++
		}
		if len(g.Resources) > 0 {
			withResources++
		} else {
			fault(!slices.Contains(tied, g.Suffix), "resourceless-group-not-in-same-subtree")
			fault(len(g.Required) == 0 && g.InTree == "", "empty-group")
		}
		for class, amount := range g.Resources {
			fault(!w.known[class], "unknown-resource-class")
			fault(amount < 1 || amount > 2147483647, "bad-amount")
		}
		codes = append(codes, w.traitFaults(g.Required)...)
		fault(len(g.MemberOf) > 0, "not-supported")
	}
	fault(withResources == 0, "no-resources")
	fault(numbered > 1 && q.GroupPolicy == "", "group-policy-missing")
	fault(!slices.Contains([]string{"", "none", "isolate"}, q.GroupPolicy), "group-policy-invalid")
	for _, suffixes := range q.SameSubtree {
		fault(len(suffixes) == 0, "same-subtree-empty-suffix")
	}
	for _, suffix := range tied {
		fault(suffix == "", "same-subtree-empty-suffix")
		fault(!seen[suffix], "same-subtree-unknown-suffix")
	}
	if q.RootRequired != "" {
		codes = append(codes, w.traitFaults([]string{q.RootRequired})...)
		fault(strings.HasPrefix(q.RootRequired, "in:"), "bad-trait-syntax")
	}
	fault(q.Limit < 0, "bad-limit")
	return codes
}

// traitFaults is R11 to R13.
func (w world) traitFaults(required []string) (codes []placement.Code) {
	terms, forbidden, ok := readRequired(required)
	if !ok {
		codes = append(codes, "bad-trait-syntax")
	}
	for _, name := range slices.Concat(append(terms, forbidden)...) {
		if !w.known[name] {
			codes = append(codes, "unknown-trait")
		}
	}
	for _, anyOf := range terms {
		if !slices.ContainsFunc(anyOf, func(name string) bool { return !slices.Contains(forbidden, name) }) {
			codes = append(codes, "trait-conflict")
		}
	}
	return codes
}
