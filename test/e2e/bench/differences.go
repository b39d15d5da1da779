package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"
)

// creationAim is what a vfio device of the warm pool may add to CreateContainer.
const creationAim = 2 * time.Millisecond

// reportCreations writes what each holding takes in ms, and what it adds to the first: the p50 of the differences of
// each turn, with the bounds between which the true one lies 95 times of 100.
func reportCreations(to io.Writer, all map[holding]*taken) error {
	columns := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	base := all[holdsNothing]
	fmt.Fprintf(columns, "\n\tCreateContainer p50\tp90\tmax\tadds p50\tfrom\tto\thook p50\tp90\tmax\tadds p50\tfrom\tto\n")
	for _, each := range holdings {
		one := all[each.name]
		fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\n", each.name,
			sorted(one.create), differences(one.create, base.create), sorted(one.hook), differences(one.hook, base.hook))
	}
	fmt.Fprintf(columns, "\n\tattach p50\tp90\tmax\tratio\trelease p50\tp90\tmax\tratio\n")
	warm := all[holdsWarm]
	for _, name := range []holding{holdsWarm, holdsBound} {
		attach, release := sorted(all[name].attach), sorted(all[name].release)
		fmt.Fprintf(columns, "%s\t%s\t%.2f\t%s\t%.2f\n", name, attach, attach.over(sorted(warm.attach)), release, release.over(sorted(warm.release)))
	}
	if err := columns.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(to, "\n%s\n%s\n",
		verdict("CreateContainer", differences(warm.create, base.create)), verdict("the daemon's hook in it", differences(warm.hook, base.hook)))
	return err
}

// verdict is the sentence whether the aim was met.
func verdict(where string, added difference) string {
	low, high := added.bounds()
	judged := "is left open, more rounds would tell"
	switch {
	case high <= creationAim:
		judged = "was met"
	case low > creationAim:
		judged = "was missed"
	}
	return fmt.Sprintf("A vfio device from the warm pool adds %s ms to %s (%s to %s): in this run the aim of %s ms %s.",
		milliseconds(added.at(0.5)), where, milliseconds(low), milliseconds(high), milliseconds(creationAim), judged)
}

// difference is by how much one kind took longer than another, turn by turn, in ascending order.
type difference struct{ spread }

// differences pairs what was taken in the same turn.
func differences(of, from []time.Duration) difference {
	var d difference
	for i := range min(len(of), len(from)) {
		d.spread = append(d.spread, of[i]-from[i])
	}
	slices.Sort(d.spread)
	return d
}

// bounds are those between which the true median lies 95 times of 100, whatever the distribution: how many samples are
// below it is a binomial number, with a deviation of half the root of all. Below six samples they are less sure.
func (d difference) bounds() (low, high time.Duration) {
	if len(d.spread) == 0 {
		return 0, 0
	}
	below, above := medianBounds(len(d.spread))
	return d.spread[below], d.spread[above]
}

// medianBounds are the places of the bounds in n samples in ascending order.
func medianBounds(n int) (low, high int) {
	below := max(0, int(float64(n)/2-1.96*math.Sqrt(float64(n))/2))
	return below, n - 1 - below
}

// String is the p50 and its bounds, as columns.
func (d difference) String() string {
	low, high := d.bounds()
	return fmt.Sprintf("%s\t%s\t%s", milliseconds(d.at(0.5)), milliseconds(low), milliseconds(high))
}

func sorted(times []time.Duration) spread { return slices.Sorted(slices.Values(times)) }
