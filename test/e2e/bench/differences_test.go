package bench

import (
	"strings"
	"testing"
	"time"
)

// times are so many ms each.
func times(all ...int) []time.Duration {
	var d []time.Duration
	for _, one := range all {
		d = append(d, time.Duration(one)*time.Millisecond)
	}
	return d
}

func TestDifferences(t *testing.T) {
	var of, from []time.Duration
	for i := range 100 { // the one is slower by 0 to 99 ms, while both wander by more
		of, from = append(of, time.Duration(1000*(i%7)+i)*time.Millisecond), append(from, time.Duration(1000*(i%7))*time.Millisecond)
	}
	if got := differences(of, from).String(); got != "50.0\t40.0\t59.0" {
		t.Errorf("p50 and bounds of 0 to 99 ms are %q", got)
	}
	if got := differences(times(5, 9), times(4)).String(); got != "1.0\t1.0\t1.0" {
		t.Errorf("p50 and bounds of one difference are %q", got)
	}
	if got := differences(nil, nil).String(); got != "0.0\t0.0\t0.0" {
		t.Errorf("p50 and bounds of nothing are %q", got)
	}
}

func TestVerdict(t *testing.T) {
	for want, added := range map[string][]time.Duration{
		"adds 2.0 ms to it (-3.0 to 2.0): in this run the aim of 2.0 ms was met.":                             times(-3, 2, 2),
		"adds 4.0 ms to it (3.0 to 5.0): in this run the aim of 2.0 ms was missed.":                           times(5, 4, 3),
		"adds 2.0 ms to it (1.0 to 3.0): in this run the aim of 2.0 ms is left open, more rounds would tell.": times(3, 2, 1),
	} {
		if got := verdict("it", difference{sorted(added)}); !strings.HasSuffix(got, want) {
			t.Errorf("%q does not end with %q", got, want)
		}
	}
}

func TestReportCreations(t *testing.T) {
	var text strings.Builder
	err := reportCreations(&text, map[holding]*taken{
		holdsNothing: {create: times(10, 20, 30), hook: times(1)},
		holdsNetdev:  {create: times(11, 20, 32), hook: times(2)},
		holdsWarm:    {create: times(12, 22, 33), hook: times(4), attach: times(40), release: times(100)},
		holdsBound:   {create: times(13, 23, 33), hook: times(4), attach: times(100), release: times(150)},
	})
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Join(strings.Fields(text.String()), " ")
	for _, want := range []string{
		"netdev 20.0 32.0 32.0 1.0 0.0 2.0 2.0 2.0 2.0 1.0 1.0 1.0",
		"vfio, warm pool 22.0 33.0 33.0 2.0 2.0 3.0 4.0 4.0 4.0 3.0 3.0 3.0",
		"vfio, warm pool 40.0 40.0 40.0 1.00 100.0 100.0 100.0 1.00",
		"vfio, bound on demand 100.0 100.0 100.0 2.50 150.0 150.0 150.0 1.50",
		"adds 2.0 ms to CreateContainer (2.0 to 3.0)",
		"adds 3.0 ms to the daemon's hook in it (3.0 to 3.0): in this run the aim of 2.0 ms was missed.",
	} {
		if !strings.Contains(fields, want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}
