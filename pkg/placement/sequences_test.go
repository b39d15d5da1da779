package placement_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

type sequence struct {
	ID       string
	Topology string
	Steps    []step
}

type step struct {
	change
	Op                 string
	Request            json.RawMessage
	Consumers          []change
	Provider           string
	Inventories        map[string]map[string]float64
	Traits             []string
	ProviderGeneration string `json:"provider_generation"`
	ResourceClass      string `json:"resource_class"`
	As, Since          string
	Expect             struct {
		expected
		Allocations        placement.Allocations
		ConsumerGeneration *int `json:"consumer_generation"`
		Usages             map[string]int
		Changed            bool
	}
}

type change struct {
	Consumer           string
	ConsumerGeneration *int `json:"consumer_generation"`
	Allocations        placement.Allocations
}

func (c change) change() placement.Change {
	return placement.Change{Consumer: c.Consumer, Generation: c.ConsumerGeneration, Allocations: c.Allocations}
}

func TestSequences(t *testing.T) {
	file := readCases(t)
	for _, one := range file.Sequences {
		t.Run(one.ID, func(t *testing.T) {
			document, err := placement.ParseQuestion(file.document(t, question{Topology: one.Topology, Request: json.RawMessage(`{"groups":{}}`)}))
			if err != nil {
				t.Fatal(err)
			}
			tree, err := placement.NewTree(document.Providers)
			if err != nil {
				t.Fatal(err)
			}
			played := played{ledger: placement.NewLedger(tree), remembered: map[string]int{}}
			for i, step := range one.Steps {
				if !played.step(t, step) {
					t.Fatalf("step %d, %s, went wrong", i+1, step.Op)
				}
			}
		})
	}
}

type played struct {
	ledger     *placement.Ledger
	remembered map[string]int
}

func (p *played) step(t *testing.T, s step) bool {
	t.Helper()
	switch s.Op {
	case "candidates":
		return p.candidates(t, s)
	case "show-consumer":
		allocations, generation, found := p.ledger.Consumer(s.Consumer)
		want := s.Expect.ConsumerGeneration
		return found == (want != nil) && (!found || generation == *want) && same(t, s.Expect.Allocations, allocations)
	case "usage":
		usage, err := p.ledger.Usage(s.Provider)
		return err == nil && same(t, s.Expect.Usages, usage)
	case "remember-generation":
		generation, err := p.ledger.Generation(s.Provider)
		p.remembered[s.As] = generation
		return err == nil
	case "assert-generation-changed":
		generation, err := p.ledger.Generation(s.Provider)
		return err == nil && (generation != p.remembered[s.Since]) == s.Expect.Changed
	}
	outcome, err := "ok", p.write(t, s)
	var refusal *placement.Refusal
	switch {
	case errors.As(err, &refusal):
		outcome = string(refusal.Outcome)
	case err != nil:
		t.Fatalf("%v is no refusal", err)
	}
	if outcome != s.Expect.Outcome {
		t.Errorf("%s (%v), want %s", outcome, err, s.Expect.Outcome)
	}
	return outcome == s.Expect.Outcome
}

func (p *played) write(t *testing.T, s step) error {
	t.Helper()
	generation, err := p.ledger.Generation(s.Provider)
	if remembered, found := p.remembered[s.ProviderGeneration]; found {
		generation = remembered
	}
	switch s.Op {
	case "claim":
		return p.ledger.Write(s.change.change())
	case "claim-many":
		var changes []placement.Change
		for _, c := range s.Consumers {
			changes = append(changes, c.change())
		}
		return p.ledger.Write(changes...)
	case "release":
		return p.ledger.Release(s.Consumer)
	case "set-inventories":
		return errors.Join(err, p.ledger.SetInventories(s.Provider, generation, inventories(t, s.Inventories)))
	case "delete-inventory":
		return p.ledger.DeleteInventory(s.Provider, s.ResourceClass)
	case "set-traits":
		return p.ledger.SetTraits(s.Provider, generation, s.Traits)
	case "delete-provider":
		return p.ledger.DeleteProvider(s.Provider)
	}
	t.Fatalf("no test for the step %s", s.Op)
	return nil
}

func inventories(t *testing.T, described map[string]map[string]float64) map[string]placement.Inventory {
	t.Helper()
	all := map[string]placement.Inventory{}
	for class, fields := range described {
		inventory := placement.NewInventory(0)
		for field, n := range fields {
			switch field {
			case "total":
				inventory.Total = int(n)
			case "reserved":
				inventory.Reserved = int(n)
			case "min_unit":
				inventory.MinUnit = int(n)
			case "max_unit":
				inventory.MaxUnit = int(n)
			case "step_size":
				inventory.StepSize = int(n)
			default:
				t.Fatalf("no test for the field %s", field)
			}
		}
		all[class] = inventory
	}
	return all
}

func (p *played) candidates(t *testing.T, s step) bool {
	t.Helper()
	document, err := placement.ParseQuestion([]byte(`{"request":` + string(s.Request) + `}`))
	if err != nil {
		t.Error(err)
		return false
	}
	for _, got := range []placement.Answer{
		placement.AnswerOf(placement.Candidates(p.ledger.Tree(), document.Question, placement.Options{})),
		placement.AnswerOf(document.Ask(p.ledger.Tree(), placement.Options{})),
	} {
		if got.Outcome != s.Expect.Outcome || got.Count != s.Expect.Count || !same(t, s.Expect.Candidates, got.Candidates) {
			t.Errorf("%s %d, want %s %d", got.Outcome, got.Count, s.Expect.Outcome, s.Expect.Count)
			return false
		}
	}
	return true
}

func same(t *testing.T, want, got any) bool {
	t.Helper()
	diff := cmp.Diff(want, got, asSet, cmpopts.EquateEmpty())
	if diff != "" {
		t.Error(diff)
	}
	return diff == ""
}

// TestOrphans: a claim that is refused, for whatever reason, leaves no consumer behind.
func TestOrphans(t *testing.T) {
	tree, err := placement.NewTree([]placement.Provider{{Name: "pf", Inventories: map[string]placement.Inventory{"SRIOV_NET_VF": placement.NewInventory(1)}}})
	if err != nil {
		t.Fatal(err)
	}
	ledger := placement.NewLedger(tree)
	for _, allocations := range []placement.Allocations{{"gone": {"SRIOV_NET_VF": 1}}, {"pf": {"CUSTOM_TYPO": 1}}, {"pf": {"SRIOV_NET_VF": 0}}, {"pf": {"SRIOV_NET_VF": 2}}} {
		if err := ledger.Claim("pod", allocations); err == nil {
			t.Errorf("%v was claimed", allocations)
		}
	}
	if err := ledger.Claim("pod", placement.Allocations{"pf": {"SRIOV_NET_VF": 1}}); err != nil {
		t.Error(err)
	}
}
