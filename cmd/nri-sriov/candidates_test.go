package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

// leftOut are tags of questions that a single node does not need; docs/placement.md says so.
var leftOut = []string{"sharing", "aggregates", "limit"}

// TestPlacementCases asks the built program every question of the case file, whose answers are the placement service's.
func TestPlacementCases(t *testing.T) {
	text, err := os.ReadFile("../../pkg/placement/testdata/placement-cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Topologies map[string]struct{ Providers json.RawMessage }
		Cases      []struct {
			ID, Topology string
			Tags         []string
			Existing     json.RawMessage `json:"existing_allocations"`
			Known        json.RawMessage `json:"known_traits"`
			Request      json.RawMessage
			Expect       placement.Answer
		}
	}
	if err := json.Unmarshal(text, &file); err != nil || len(file.Cases) < 80 {
		t.Fatalf("%d cases, %v", len(file.Cases), err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "nri-sriov")
	if output, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, c := range file.Cases {
		if slices.ContainsFunc(c.Tags, func(tag string) bool { return slices.Contains(leftOut, tag) }) {
			continue
		}
		t.Run(c.ID, func(t *testing.T) {
			document := map[string]json.RawMessage{"providers": file.Topologies[c.Topology].Providers, "request": c.Request}
			if c.Existing != nil {
				document["existing_allocations"] = c.Existing
			}
			if c.Known != nil {
				document["known_traits"] = c.Known
			}
			question, err := json.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			answer, code := runCandidates(t, program, question)
			if want := map[string]int{"candidates": 0, "no-candidates": 1, "bad-request": 2}[c.Expect.Outcome]; answer.Outcome != c.Expect.Outcome || code != want {
				t.Fatalf("%s, exit code %d, wanted is %s, %d: %v", answer.Outcome, code, c.Expect.Outcome, want, answer.Reasons)
			}
			if answer.Count != c.Expect.Count || answer.Count != len(answer.Candidates) {
				t.Errorf("count %d, wanted %d", answer.Count, c.Expect.Count)
			}
			if diff := cmp.Diff(sorted(t, c.Expect.Candidates), sorted(t, answer.Candidates)); diff != "" {
				t.Error(diff)
			}
			if answer.Outcome != "candidates" && len(answer.Reasons) == 0 {
				t.Error("no reason is given")
			}
		})
	}
}

func runCandidates(t *testing.T, program string, question []byte) (answer placement.Answer, code int) {
	t.Helper()
	command := exec.Command(program, "candidates", "-f", "-")
	command.Stdin = bytes.NewReader(question)
	output, err := command.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(output, &answer); err != nil {
		t.Fatalf("%v in %q", err, output)
	}
	return answer, code
}

// sorted makes a set of candidates comparable.
func sorted(t *testing.T, candidates []placement.Candidate) string {
	t.Helper()
	var lines []string
	for _, one := range candidates {
		for _, providers := range one.Mappings {
			slices.Sort(providers)
		}
		line, err := json.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
