package bench

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// figure is a number that has an aim, or is to be seen beside one that has.
type figure struct {
	what string
	value
	// unit is written after the numbers.
	unit string
	aim  float64
	// least tells that the aim is the least, not the most; aimless that there is none.
	least, aimless bool
}

// value is a number, with what it lies between where that is known.
type value struct {
	at, low, high float64
	// spread tells that there are bounds, unsure that the true value may be anywhere between them.
	spread, unsure bool
}

// verdict tells whether the figure is what it should be. An aim between the bounds is nothing to rely on.
func (f figure) verdict() string {
	if f.aimless {
		return ""
	}
	if f.spread && f.high == 0 {
		return "not measured"
	}
	judged := "missed"
	if f.at <= f.aim && !f.least || f.at >= f.aim && f.least {
		judged = "met"
	}
	if f.unsure && f.low <= f.aim && f.aim <= f.high && f.low != f.high {
		judged += ", within the spread"
	}
	return judged
}

// reportAims writes figures beside their aims.
func reportAims(to io.Writer, figures []figure) error {
	columns := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(columns, "\nfigure\tin this run\tfrom\tto\taim\t\n")
	for _, f := range figures {
		aim, low, high := strconv.FormatFloat(f.aim, 'f', -1, 64)+f.unit, "", ""
		switch {
		case f.aimless:
			aim = ""
		case f.least:
			aim = ">= " + aim
		default:
			aim = "<= " + aim
		}
		if f.spread {
			low, high = number(f.low), number(f.high)
		}
		fmt.Fprintf(columns, "%s\t%s%s\t%s\t%s\t%s\t%s\n", f.what, number(f.at), f.unit, low, high, aim, f.verdict())
	}
	return columns.Flush()
}

// number has three digits that count, and not more than two after the point.
func number(n float64) string {
	if n >= 100 || n <= -100 {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.2f", n)
}

// ratio is the p50 of how often longer one kind took than another, round by round, with the bounds between which the
// true one lies 95 times of 100.
func ratio(of, from []time.Duration) value {
	var all []float64
	for i := range min(len(of), len(from)) {
		if from[i] > 0 {
			all = append(all, float64(of[i])/float64(from[i]))
		}
	}
	if len(all) == 0 {
		return value{spread: true}
	}
	slices.Sort(all)
	low, high := medianBounds(len(all))
	return value{at: all[len(all)/2], low: all[low], high: all[high], spread: true, unsure: true}
}

// percentile is a time of all in ms, with the shortest and the longest.
func percentile(times []time.Duration, share float64) value {
	all := sorted(times)
	return value{at: inMilliseconds(all.at(share)), low: inMilliseconds(all.at(0)), high: inMilliseconds(all.at(1)), spread: true}
}

func inMilliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
