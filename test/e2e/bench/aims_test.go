package bench

import (
	"strings"
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	for want, f := range map[string]figure{
		"met":                       {value: value{at: 1.1}, aim: 1.1},
		"not measured":              {what: "a hook that never ran", value: percentile(nil, 0.99), aim: 5},
		"missed":                    {value: value{at: 1.11, low: 1.105, high: 1.2, spread: true}, aim: 1.1},
		"met, within the spread":    {value: value{at: 1.05, low: 0.9, high: 1.2, spread: true, unsure: true}, aim: 1.1},
		"missed, within the spread": {value: value{at: 0.8, low: 0.7, high: 0.95, spread: true, unsure: true}, aim: 0.9, least: true},
	} {
		if got := f.verdict(); got != want {
			t.Errorf("%+v is %q, not %q", f, got, want)
		}
	}
	if got := (figure{value: value{at: 1}, aim: 0.9, least: true}).verdict(); got != "met" {
		t.Errorf("1 of at least 0.9 is %q", got)
	}
	var text strings.Builder
	err := reportAims(&text, []figure{
		{what: "a", value: value{at: 1.234, low: 1, high: 2, spread: true, unsure: true}, aim: 1.1},
		{what: "b", value: value{at: 123.4}, unit: " ms", aim: 500},
		{what: "c", value: value{at: 3}, aimless: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "figure in this run from to aim a 1.23 1.00 2.00 <= 1.1 missed, within the spread b 123 ms <= 500 ms met c 3.00"
	if got := strings.Join(strings.Fields(text.String()), " "); got != want {
		t.Errorf("the table is\n%s\nnot\n%s", got, want)
	}
}

func TestRatio(t *testing.T) {
	if got, want := ratio(times(10, 30, 20), times(10, 20, 20)), (value{at: 1, low: 1, high: 1.5, spread: true, unsure: true}); got != want {
		t.Errorf("the ratio is %+v, not %+v", got, want)
	}
	if got := ratio(times(1), nil); got != (value{spread: true}) {
		t.Errorf("the ratio to nothing is %+v", got)
	}
	if got, want := percentile(times(5, 1, 9), 0.99), (value{at: 9, low: 1, high: 9, spread: true}); got != want {
		t.Errorf("the p99 is %+v, not %+v", got, want)
	}
}

func TestLogLines(t *testing.T) {
	const text = `time="2026-01-02T03:04:05.100Z" level=debug msg="hook answered" hook=RunPodSandbox sandbox=a took=1.5ms
time="2026-01-02T03:04:05.200Z" level=debug msg="hook answered" hook=StopPodSandbox sandbox=a took="250µs"
time="2026-01-02T03:04:06.000Z" level=info msg="VF attached" interface=net1 sandbox=a took=500ms
time="2026-01-02T03:04:07.000Z" level=info msg="VF attached" interface=net1 sandbox=b took=1s
`
	if got, err := hooksIn(text, "StopPodSandbox"); err != nil || len(got) != 1 || got[0] != 250*time.Microsecond {
		t.Errorf("the hook took %v, %v", got, err)
	}
	count, took, err := attachedIn(text)
	if err != nil || count != 2 || took != 1500*time.Millisecond {
		t.Errorf("%d were attached within %s, %v: not 2 within 1.5 s", count, took, err)
	}
	if _, _, err := attachedIn("msg=\"VF attached\" took=1s\n"); err == nil {
		t.Error("a line without time is taken")
	}
	if _, err := hooksIn("msg=\"hook answered\" hook=A\n", "A"); err == nil {
		t.Error("a line without duration is taken")
	}
}

func TestBenchmarkOutput(t *testing.T) {
	got, err := metricsOf("goos: linux\nBenchmarkA/Handlers-2 \t 1000\t 179.0 ns/op\t 0 B/op\t 0 allocs/op\nBenchmarkB-2 3 5 ns/op 407.5 Synchronize-p99-µs\nPASS\n")
	if err != nil || got["BenchmarkA/Handlers ns/op"] != 179 || got["BenchmarkB Synchronize-p99-µs"] != 407.5 || len(got) != 5 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := metricsOf("BenchmarkA-2 1000 fast ns/op\n"); err == nil {
		t.Error("no number is taken for one")
	}
}

func TestResident(t *testing.T) {
	if got, err := residentOf("Name:\tx\nVmHWM:\t   30720 kB\nVmRSS:\t   20480 kB\n"); err != nil || got != 20 {
		t.Errorf("resident are %v MB, %v", got, err)
	}
	if _, err := residentOf("Name:\tx\n"); err == nil {
		t.Error("no line is taken for one")
	}
}
