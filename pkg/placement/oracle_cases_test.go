package placement_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

// oracleCase is what the oracle reads of the case file. It has a reader of its own: a mistake in the package's would be the oracle's too.
type oracleCase struct {
	ID       string
	Tags     []string
	Topology string
	Existing []struct {
		Allocations map[string]map[string]int
	} `json:"existing_allocations"`
	Known   []string `json:"known_traits"`
	Request oracleRequest
	Expect  struct {
		Outcome    string
		Reason     placement.Code
		Candidates []placement.Candidate
	}
	Follow json.RawMessage // of a deviation: the answer of the spec, which the upstream code does not give
}

type oracleRequest struct {
	Groups       map[string]oracleGroup `json:"groups"`
	GroupPolicy  string                 `json:"group_policy,omitempty"`
	SameSubtree  [][]string             `json:"same_subtree,omitempty"`
	RootRequired string                 `json:"root_required,omitempty"`
}

type oracleGroup struct {
	Resources map[string]int `json:"resources,omitempty"`
	Required  []string       `json:"required,omitempty"`
	InTree    string         `json:"in_tree,omitempty"`
}

func (r oracleRequest) question() placement.Question {
	q := placement.Question{GroupPolicy: r.GroupPolicy, SameSubtree: r.SameSubtree, RootRequired: r.RootRequired}
	for _, suffix := range slices.Sorted(maps.Keys(r.Groups)) {
		g := r.Groups[suffix]
		q.Groups = append(q.Groups, placement.Group{Suffix: suffix, Resources: g.Resources, Required: g.Required, InTree: g.InTree})
	}
	return q
}

type oracleProvider struct {
	Name, Parent string
	Traits       []string
	Inventories  map[string]oracleInventory
}

type oracleInventory struct {
	Total, Reserved int
	MinUnit         int     `json:"min_unit"`
	MaxUnit         int     `json:"max_unit"`
	StepSize        int     `json:"step_size"`
	AllocationRatio float64 `json:"allocation_ratio"`
}

// UnmarshalJSON has the defaults of R5.
func (i *oracleInventory) UnmarshalJSON(text []byte) error {
	type plain oracleInventory
	have := plain{MinUnit: 1, MaxUnit: 2147483647, StepSize: 1, AllocationRatio: 1}
	err := json.Unmarshal(text, &have)
	*i = oracleInventory(have)
	return err
}

// oracleWorld has the case's providers, with what its existing allocations use.
func oracleWorld(topology []oracleProvider, c oracleCase) world {
	var providers []placement.Provider
	for _, p := range topology {
		one := placement.Provider{Name: p.Name, Parent: p.Parent, Traits: p.Traits, Inventories: map[string]placement.Inventory{}}
		for class, i := range p.Inventories {
			have := placement.Inventory{Total: i.Total, Reserved: i.Reserved, MinUnit: i.MinUnit, MaxUnit: i.MaxUnit, StepSize: i.StepSize, AllocationRatio: i.AllocationRatio}
			for _, existing := range c.Existing {
				have.Used += existing.Allocations[p.Name][class]
			}
			one.Inventories[class] = have
		}
		providers = append(providers, one)
	}
	return newWorld(providers, append(c.Known, "VGPU")...) // a standard class: it is known though nobody has it
}

// TestOracle: the oracle's reading of the rules is the one that the case file was checked with. Sharing providers, aggregates and a
// limit are none of its rules.
func TestOracle(t *testing.T) {
	text, err := os.ReadFile("testdata/placement-cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Topologies        map[string]struct{ Providers []oracleProvider }
		Cases, Deviations []oracleCase
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for i, c := range file.Deviations {
		if c.Topology == "" { // it is not a question's
			continue
		}
		if err := json.Unmarshal(c.Follow, &file.Deviations[i].Expect.Candidates); err != nil {
			t.Fatal(err)
		}
		file.Cases = append(file.Cases, file.Deviations[i])
	}
	compared := 0
	for _, c := range file.Cases {
		beyond := func(tag string) bool { return slices.Contains([]string{"sharing", "aggregates", "limit"}, tag) }
		if slices.ContainsFunc(c.Tags, beyond) {
			continue
		}
		compared++
		t.Run(c.ID, func(t *testing.T) {
			got, codes := oracleWorld(file.Topologies[c.Topology].Providers, c).ask(c.Request.question())
			if c.Expect.Outcome == "bad-request" {
				if !slices.Contains(codes, c.Expect.Reason) {
					t.Errorf("%s, not %s", codes, c.Expect.Reason)
				}
				return
			}
			if diff := cmp.Diff(candidateTexts(c.Expect.Candidates), got); diff != "" || len(codes) > 0 {
				t.Errorf("faults %s; candidates (-case file +oracle):\n%s", codes, diff)
			}
		})
	}
	if compared < 80 {
		t.Errorf("only %d cases were compared", compared)
	}
}

// candidateTexts are sorted: a set is compared, though one with duplicates is not the same.
func candidateTexts(candidates []placement.Candidate) (texts []string) {
	for _, c := range candidates {
		texts = append(texts, candidateText(c))
	}
	slices.Sort(texts)
	return texts
}
