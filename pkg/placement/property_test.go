package placement_test

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

// unbounded lets no search end before it is done.
var unbounded = placement.Options{Limit: 1 << 30, MaxSteps: 1 << 30}

// TestCandidatesAreTheOracles: what the search leaves out is no candidate, whatever the tree and the question.
func TestCandidatesAreTheOracles(t *testing.T) {
	outcomes := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		tree := engineTree(t, w)
		for range 5 {
			q := drawQuestion(t, w)
			outcomes[compareAnswers(t, w, tree, q)]++
		}
	})
	t.Log(outcomes)
	for _, outcome := range []string{"candidates", "no candidate", "bad request"} {
		if !t.Failed() && outcomes[outcome] == 0 {
			t.Errorf("none of the questions had the outcome %q", outcome)
		}
	}
}

func compareAnswers(t *rapid.T, w world, tree *placement.Tree, q placement.Question) (outcome string) {
	want, codes := w.ask(q)
	got, err := placement.Candidates(tree, q, unbounded)
	if err != nil || len(codes) > 0 {
		var refused *placement.BadRequest
		if !errors.As(err, &refused) || !slices.Contains(codes, refused.Code) {
			t.Fatalf("oracle: %q; engine: %v\n%s", codes, err, worldText(w, q))
		}
		return "bad request"
	}
	if diff := textsDiff(want, candidateTexts(got.Candidates)); diff != "" {
		t.Fatalf("candidates (-oracle +engine):\n%s%s", diff, worldText(w, q))
	}
	checkOrders(t, w, tree, q, want)
	checkLimits(t, w, tree, q, len(want))
	if len(want) == 0 {
		if len(got.Reasons) == 0 {
			t.Fatalf("no candidate, and no reason for it\n%s", worldText(w, q))
		}
		return "no candidate"
	}
	return "candidates"
}

// textsDiff spares the comparison that can be shown where there is nothing to show: it is much slower.
func textsDiff(want, got []string) string {
	if slices.Equal(want, got) {
		return ""
	}
	return gocmp.Diff(want, got)
}

// mostFree prefers the provider that has most left, and on equal terms the order of the tree.
func mostFree(_ string, a, b placement.Offer) int { return cmp.Compare(b.Free, a.Free) }

// checkOrders: preferences and the order of the groups say which candidate comes first, not which there are.
func checkOrders(t *rapid.T, w world, tree *placement.Tree, q placement.Question, want []string) {
	preferring, turned := unbounded, q
	preferring.Prefer = mostFree
	turned.Groups = slices.Clone(q.Groups)
	slices.Reverse(turned.Groups)
	r, err := placement.Candidates(tree, turned, preferring)
	if diff := textsDiff(want, candidateTexts(r.Candidates)); err != nil || diff != "" {
		t.Fatalf("groups reversed, most free first: %v (-oracle +engine):\n%s%s", err, diff, worldText(w, q))
	}
}

// checkLimits: a bounded search finds the head of the whole answer, and says that there is more if there is, or may be.
func checkLimits(t *rapid.T, w world, tree *placement.Tree, q placement.Question, count int) {
	o := unbounded
	if rapid.Bool().Draw(t, "prefer") {
		o.Prefer = mostFree
	}
	limit := rapid.IntRange(1, count+1).Draw(t, "limit")
	limited, hasty, byQuestion := o, o, q
	limited.Limit, byQuestion.Limit = limit, limit
	hasty.MaxSteps = rapid.IntRange(1, 60).Draw(t, "steps")
	whole, err0 := placement.Candidates(tree, q, o)
	some, err1 := placement.Candidates(tree, q, limited)
	same, err2 := placement.Candidates(tree, byQuestion, o)
	one, err3 := placement.First(tree, q, o)
	begun, err4 := placement.Candidates(tree, q, hasty)
	if err := errors.Join(err0, err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	diff := func(n int, r placement.Result) string {
		head := whole.Candidates[:min(n, count)]
		if slices.EqualFunc(head, r.Candidates, func(a, b placement.Candidate) bool { return reflect.DeepEqual(a, b) }) {
			return ""
		}
		return gocmp.Diff(head, r.Candidates)
	}
	if diff := diff(limit, some) + diff(limit, same) + diff(1, one); diff != "" || some.CutShort || same.CutShort || one.CutShort {
		t.Fatalf("limit %d of %d (-head of the whole answer +engine):\n%s%s", limit, count, diff, worldText(w, q))
	}
	if found := len(begun.Candidates); !begun.CutShort && found < count || diff(found, begun) != "" {
		t.Fatalf("%d steps: %d of %d, cut short %t%s\n%s", hasty.MaxSteps, found, count, begun.CutShort, diff(found, begun), worldText(w, q))
	}
	if more := count > limit; some.More != more || same.More != more {
		t.Fatalf("limit %d of %d: more %t by option, %t by question\n%s", limit, count, some.More, same.More, worldText(w, q))
	}
}
