package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/bench/protocol"
)

// table is a part of the report: rows that are compared with the first.
type table struct {
	way, back string
	rows      []candidate
}

var tables = []table{
	{"attach", "detach", []candidate{kernelMinimum, daemonAlone, daemonBeside, hostDevice}},
	{"start", "stop", []candidate{podPlain, podVF, podHostDevice}},
}

// report writes the figures: times in ms, and each row's p50 as a multiple of the first row's.
func report(to io.Writer, samples map[candidate][]protocol.Round) error {
	columns := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, t := range tables {
		fmt.Fprintf(columns, "\n\t%s p50\tp90\tmax\tratio\t%s p50\tp90\tmax\tratio\n", t.way, t.back)
		base := figuresOf(samples[t.rows[0]])
		for _, row := range t.rows {
			each := figuresOf(samples[row])
			fmt.Fprintf(columns, "%s\t%s\t%.2f\t%s\t%.2f\n", row,
				each.attach, each.attach.over(base.attach), each.detach, each.detach.over(base.detach))
		}
	}
	fmt.Fprintf(columns, "\nsteps, p50 of each\n")
	for _, t := range tables {
		for _, row := range t.rows {
			if rounds := samples[row]; len(rounds) > 0 && len(rounds[0].Attach)+len(rounds[0].Detach) > 2 {
				fmt.Fprintf(columns, "%s\t%s\t%s\n", row, stepsOf(rounds, attachOf), stepsOf(rounds, detachOf))
			}
		}
	}
	return columns.Flush()
}

// figures are those of one candidate.
type figures struct{ attach, detach spread }

func figuresOf(rounds []protocol.Round) figures {
	var f figures
	for _, one := range rounds {
		f.attach = append(f.attach, protocol.Total(one.Attach))
		f.detach = append(f.detach, protocol.Total(one.Detach))
	}
	slices.Sort(f.attach)
	slices.Sort(f.detach)
	return f
}

// spread is times in ascending order.
type spread []time.Duration

// at is the time that a share of all does not exceed.
func (s spread) at(share float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	return s[min(len(s)-1, int(share*float64(len(s))))]
}

func (s spread) over(base spread) float64 {
	if base.at(0.5) == 0 {
		return 0
	}
	return float64(s.at(0.5)) / float64(base.at(0.5))
}

// String is p50, p90 and the maximum, as columns.
func (s spread) String() string {
	return fmt.Sprintf("%s\t%s\t%s", milliseconds(s.at(0.5)), milliseconds(s.at(0.9)), milliseconds(s.at(1)))
}

func attachOf(round protocol.Round) []protocol.Step { return round.Attach }
func detachOf(round protocol.Round) []protocol.Step { return round.Detach }

// stepsOf is the p50 of each step on the way in or back, which are the same in all rounds.
func stepsOf(rounds []protocol.Round, way func(protocol.Round) []protocol.Step) string {
	var texts []string
	for i, step := range way(rounds[0]) {
		var all spread
		for _, round := range rounds {
			all = append(all, way(round)[i].Took)
		}
		slices.Sort(all)
		texts = append(texts, fmt.Sprintf("%s %s", step.Name, milliseconds(all.at(0.5))))
	}
	return strings.Join(texts, ", ")
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond))
}
