package faults

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Proof is one test that proves rows of the matrix.
type Proof struct {
	Package, Test string
	Rows          []int
	// Injected is how often it brought the fault about, 0 where it did not count. The others are what it counted.
	Injected, Without, Lost, Unclean int
	Converge                         time.Duration
	// Result is pass, fail or skip; empty for a test that never ended.
	Result string
}

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action, Package, Test, Key, Value, Output string
}

// Read reads what `go test -json` prints, shows the lines of tests that are over to progress, and answers the proofs. Lines
// that are no events are passed on, such as those of a build that fails. Of a test that was run more
// than once the last run counts.
func Read(from io.Reader, progress io.Writer) ([]Proof, error) {
	found := map[string]*Proof{}
	results := map[string]string{}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var one event
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			fmt.Fprintln(progress, lines.Text())
			continue
		}
		name := one.Package + "\x00" + one.Test
		switch one.Action {
		case "run": // perhaps again
			again := func(key string) bool { return key == name || strings.HasPrefix(key, name+"/") }
			maps.DeleteFunc(found, func(key string, _ *Proof) bool { return again(key) })
			maps.DeleteFunc(results, func(key string, _ string) bool { return again(key) })
		case "attr":
			if err := note(found, one); err != nil {
				return nil, fmt.Errorf("%s %s: %w", one.Package, one.Test, err)
			}
		case "pass", "fail", "skip":
			results[name] = one.Action
			if one.Test != "" && !strings.Contains(one.Test, "/") || one.Action == "fail" {
				fmt.Fprintln(progress, one.Action, one.Package, one.Test)
			}
		case "output":
			if strings.Contains(one.Output, "_test.go:") {
				fmt.Fprint(progress, one.Output)
			}
		}
	}
	var proofs []Proof
	for name, one := range found {
		if len(one.Rows) > 0 {
			one.Result = results[name]
			proofs = append(proofs, *one)
		}
	}
	slices.SortFunc(proofs, func(a, b Proof) int { return strings.Compare(a.Package+a.Test, b.Package+b.Test) })
	return proofs, lines.Err()
}

// note takes in one attribute.
func note(found map[string]*Proof, one event) error {
	name := one.Package + "\x00" + one.Test
	proof, ok := found[name]
	if !ok {
		proof = &Proof{Package: one.Package, Test: one.Test}
		found[name] = proof
	}
	if one.Key == "fault" {
		for text := range strings.SplitSeq(one.Value, ",") {
			number, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil || number < 1 || number > len(Matrix) {
				return fmt.Errorf("attribute fault is %q, which is no list of rows from 1 to %d", one.Value, len(Matrix))
			}
			proof.Rows = append(proof.Rows, number)
		}
		return nil
	}
	var err error
	if one.Key == "converge" {
		proof.Converge, err = time.ParseDuration(one.Value)
		return err
	}
	for key, into := range map[string]*int{"injected": &proof.Injected, "without": &proof.Without, "lost": &proof.Lost, "unclean": &proof.Unclean} {
		if key == one.Key {
			*into, err = strconv.Atoi(one.Value)
		}
	}
	return err
}
