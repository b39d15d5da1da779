package faults

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Table writes the matrix with what was proved, in Markdown, and answers the rows that were not shown, or not with
// success.
func Table(to io.Writer, proofs []Proof) (unproved []int) {
	fmt.Fprintln(to, "| # | fault | what must come of it | times | pods without VF | VFs lost | VFs unclean | converged in | shown by |")
	fmt.Fprintln(to, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, row := range Matrix {
		sum := sumOf(row, proofs)
		if !sum.proved {
			unproved = append(unproved, row.Number)
		}
		fault := row.Fault
		if row.Limit != "" {
			fault += " (not reached here: " + row.Limit + ")"
		}
		fmt.Fprintf(to, "| %d | %s | %s | %s | %s |\n", row.Number, fault, row.Outcome, sum.figures(), strings.Join(sum.names, ", "))
	}
	return unproved
}

type sum struct {
	proved                           bool
	injected, without, lost, unclean int
	counted                          bool
	converge                         time.Duration
	names                            []string
}

// sumOf adds up what the tests of a row have counted. A row is proved when it has a test, in the lab where the row needs
// that, and all of them have passed.
func sumOf(row Row, proofs []Proof) sum {
	s := sum{proved: true}
	lab := !row.Lab
	for _, one := range proofs {
		if !slices.Contains(one.Rows, row.Number) {
			continue
		}
		name := one.Test
		if one.Result != "pass" {
			s.proved = false
			name = fmt.Sprintf("**%s: %s**", name, cmp.Or(one.Result, "cut short"))
		}
		s.names = append(s.names, name)
		lab = lab || strings.Contains(one.Package, "/test/e2e")
		s.counted = s.counted || one.Injected > 0
		s.injected += one.Injected
		s.without += one.Without
		s.lost += one.Lost
		s.unclean += one.Unclean
		s.converge = max(s.converge, one.Converge)
	}
	if len(s.names) == 0 || !lab || s.without+s.lost+s.unclean > 0 {
		s.proved = false
		s.names = append(s.names, "**not shown**")
	}
	return s
}

func (s sum) figures() string {
	if !s.counted {
		return "- | - | - | - | -"
	}
	converge := "-"
	if s.converge > 0 {
		converge = s.converge.Round(time.Millisecond).String()
	}
	return fmt.Sprintf("%d | %d | %d | %d | %s", s.injected, s.without, s.lost, s.unclean, converge)
}
