package placement_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

// caseFile is testdata/placement-cases.json, whose answers are those of the real placement service, or of its
// specification where the service deviates from it; format_doc in the file describes it.
type caseFile struct {
	Topologies map[string]struct{ Providers json.RawMessage }
	Cases      []question
	Sequences  []sequence
	Claims     []pciClaim
	Deviations []struct {
		question
		pciClaim
		ID               string
		Follow           json.RawMessage
		UpstreamAnswers  json.RawMessage `json:"upstream_answers"`
		Text, Title, Why string
	}
}

type question struct {
	ID                  string
	Title               string
	Tags                []string
	Topology            string
	ExistingAllocations json.RawMessage `json:"existing_allocations"`
	KnownTraits         json.RawMessage `json:"known_traits"`
	Request             json.RawMessage
	Expect              expected
}

type expected struct {
	Outcome    string
	Count      int
	Candidates []placement.Candidate
	Reason     string
}

func readCases(t testing.TB) caseFile {
	t.Helper()
	content, err := os.ReadFile("testdata/placement-cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var file caseFile
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) == 0 || len(file.Sequences) == 0 || len(file.Claims) == 0 || len(file.Deviations) == 0 {
		t.Fatal("the file has lost a part")
	}
	return file
}

// document writes a case with its topology as one document, as `nri-sriov candidates` reads it.
func (f caseFile) document(t testing.TB, q question) []byte {
	t.Helper()
	parts := map[string]json.RawMessage{"providers": f.Topologies[q.Topology].Providers, "request": q.Request}
	for key, part := range map[string]json.RawMessage{"existing_allocations": q.ExistingAllocations, "known_traits": q.KnownTraits} {
		if part != nil {
			parts[key] = part
		}
	}
	text, err := json.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// ask reads a document and answers it.
func ask(text []byte, o placement.Options) placement.Answer {
	document, err := placement.ParseQuestion(text)
	if err != nil {
		return placement.AnswerOf(placement.Result{}, err)
	}
	return placement.AnswerOf(document.Ask(nil, o))
}

// leftOut are the cases about sharing providers and aggregates, which doc.go says are not supported.
var leftOut = []string{"AGG-01", "AGG-03", "SHR-02", "SHR-03", "SHR-05"}

func TestCases(t *testing.T) {
	file := readCases(t)
	var skipped []string
	for _, c := range file.Cases {
		if slices.Contains(c.Tags, "sharing") || slices.Contains(c.Tags, "aggregates") {
			skipped = append(skipped, c.ID)
			got := ask(file.document(t, c), placement.Options{})
			if got.Outcome != placement.OutcomeBadRequest || !strings.Contains(got.Reasons[0], "not supported") {
				t.Errorf("%s is left out, and is answered %+v", c.ID, got)
			}
			continue
		}
		t.Run(c.ID, func(t *testing.T) { checkAnswer(t, c, ask(file.document(t, c), placement.Options{})) })
	}
	if slices.Sort(skipped); !slices.Equal(skipped, leftOut) {
		t.Errorf("left out are %v, not %v", skipped, leftOut)
	}
}

func checkAnswer(t *testing.T, c question, got placement.Answer) {
	t.Helper()
	if got.Outcome != c.Expect.Outcome || got.Count != c.Expect.Count || got.Count != len(got.Candidates) {
		t.Fatalf("%s %d, want %s %d: %q", got.Outcome, got.Count, c.Expect.Outcome, c.Expect.Count, got.Reasons)
	}
	switch c.Expect.Outcome {
	case placement.OutcomeBadRequest:
		if !strings.HasPrefix(got.Reasons[0], c.Expect.Reason+": ") {
			t.Errorf("reasons %q, want the code %s", got.Reasons, c.Expect.Reason)
		}
	case placement.OutcomeNoCandidates:
		if len(got.Reasons) == 0 {
			t.Error("no reason is given")
		}
		t.Log(strings.Join(got.Reasons, "\n"))
	default:
		if len(got.Reasons) > 0 {
			t.Errorf("there are candidates, and the reasons %q", got.Reasons)
		}
	}
	if c.ID == "LIM-01" { // any one of the answers without a limit is right
		return
	}
	if diff := cmp.Diff(c.Expect.Candidates, got.Candidates, asSet, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// asSet compares candidates whatever their order.
var asSet = cmpopts.SortSlices(func(a, b placement.Candidate) bool { return text(a) < text(b) })

func text(value any) string {
	content, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(content)
}

// TestDeviations: where the service deviates from its specification, the specification is followed.
func TestDeviations(t *testing.T) {
	file := readCases(t)
	told := map[string]bool{"DEV-06": true, "DEV-07": true, "DEV-08": true, "DEV-09": true, "DEV-10": true}
	for _, c := range file.Deviations {
		if told[c.ID] {
			delete(told, c.ID) // SEQ-14, TestOrphans, TestShortClaim, TestExactSuffix, TestTraitSyntax
			continue
		}
		t.Run(c.ID, func(t *testing.T) {
			var follow, upstream []placement.Candidate
			for raw, into := range map[*json.RawMessage]*[]placement.Candidate{&c.Follow: &follow, &c.UpstreamAnswers: &upstream} {
				if err := json.Unmarshal(*raw, into); err != nil {
					t.Fatal(err)
				}
			}
			got := ask(file.document(t, c.question), placement.Options{})
			if diff := cmp.Diff(follow, got.Candidates, asSet, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if cmp.Equal(upstream, got.Candidates, asSet, cmpopts.EquateEmpty()) {
				t.Error("the deviation is answered as upstream does")
			}
		})
	}
	if len(told) > 0 {
		t.Errorf("the file has no %v", told)
	}
}
