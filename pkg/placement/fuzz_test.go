package placement_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

// FuzzQuestion: whatever the text is, there is an answer in bounded time that is one of the three outcomes, says why,
// is the same when asked again, and whose candidates can all be claimed.
func FuzzQuestion(f *testing.F) {
	file := readCases(f)
	for _, c := range file.Cases {
		f.Add(string(file.document(f, c)))
	}
	f.Add(`{"request":{"groups":{"":{"resources":{"SRIOV_NET_VF":1}}}}}`)
	f.Add(`{"providers":[],"request":{"groups":{"a":{"required":["in:"],"in_tree":"x"}},"group_policy":"none","limit":1e2}}`)
	f.Fuzz(func(t *testing.T, content string) {
		start := time.Now()
		document, err := placement.ParseQuestion([]byte(content))
		if err != nil {
			var request *placement.BadRequest
			if !errors.As(err, &request) || request.Code == "" || request.Message == "" || len(request.Message) > 10_000 {
				t.Fatalf("%#v is no error for a person", err)
			}
			return
		}
		node := bigNode(t, 2, 4, 3)
		before := text(node.Providers())
		answer := placement.AnswerOf(document.Ask(node, placement.Options{Limit: 50, MaxSteps: 5000}))
		again := placement.AnswerOf(document.Ask(node, placement.Options{Limit: 50, MaxSteps: 5000}))
		if text(answer) != text(again) {
			t.Fatalf("two answers:\n%s\n%s", text(answer), text(again))
		}
		if text(node.Providers()) != before {
			t.Fatal("the question changed the node")
		}
		checkShape(t, answer)
		if took := time.Since(start); took > 5*time.Second {
			t.Fatalf("it took %v", took)
		}
		checkClaimable(t, document, node, answer)
	})
}

func checkShape(t *testing.T, answer placement.Answer) {
	t.Helper()
	good := answer.Count == len(answer.Candidates) && answer.Count <= 50 && answer.Candidates != nil && answer.Reasons != nil
	switch answer.Outcome {
	case placement.OutcomeCandidates:
		good = good && answer.Count > 0
	case placement.OutcomeNoCandidates, placement.OutcomeBadRequest:
		good = good && answer.Count == 0 && len(answer.Reasons) > 0
	default:
		good = false
	}
	if !good {
		t.Fatalf("%+v", answer)
	}
}

func checkClaimable(t *testing.T, document placement.Document, node *placement.Tree, answer placement.Answer) {
	t.Helper()
	if answer.Count == 0 {
		return
	}
	providers := node.Providers()
	if document.Whole {
		providers = document.Providers
	}
	tree, err := placement.NewTree(providers)
	if err != nil {
		t.Fatal(err)
	}
	ledger := placement.NewLedger(tree)
	if err := ledger.Write(document.Existing...); err != nil && len(document.Existing) < 2 {
		t.Fatal(err)
	} else if err != nil {
		return // claims that are good one after the other
	}
	for _, candidate := range answer.Candidates {
		if err := ledger.Claim("the fuzzer's own", candidate.Allocations); err != nil {
			t.Fatalf("%v cannot be claimed: %v", candidate, err)
		}
		if err := ledger.Release("the fuzzer's own"); err != nil {
			t.Fatal(err)
		}
	}
}
