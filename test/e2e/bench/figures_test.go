package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/bench/protocol"
)

func TestSpread(t *testing.T) {
	var of spread
	for i := range 15 {
		of = append(of, time.Duration(i+1)*time.Millisecond)
	}
	if got := of.String(); got != "8.0\t14.0\t15.0" {
		t.Errorf("p50, p90 and maximum of 1 to 15 ms are %q", got)
	}
	if got := of.over(spread{4 * time.Millisecond}); got != 2 {
		t.Errorf("8 ms are %v times 4 ms", got)
	}
	if got := of.over(nil); got != 0 {
		t.Errorf("8 ms are %v times nothing", got)
	}
}

func TestReport(t *testing.T) {
	round := func(attach, detach time.Duration) protocol.Round {
		return protocol.Round{
			Attach: []protocol.Step{{Name: "in", Took: attach / 2}, {Name: "up", Took: attach / 2}},
			Detach: []protocol.Step{{Name: "out", Took: detach}},
		}
	}
	var text strings.Builder
	err := report(&text, map[candidate][]protocol.Round{
		kernelMinimum: {round(30*time.Millisecond, 10*time.Millisecond), round(10*time.Millisecond, 10*time.Millisecond)},
		daemonAlone:   {round(60*time.Millisecond, 15*time.Millisecond)},
	})
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Join(strings.Fields(text.String()), " ")
	for _, want := range []string{
		"kernel's minimum 30.0 30.0 30.0 1.00 10.0 10.0 10.0 1.00",
		"nri-sriov 60.0 60.0 60.0 2.00 15.0 15.0 15.0 1.50",
		"nri-sriov in 30.0, up 30.0 out 15.0",
	} {
		if !strings.Contains(fields, want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}
