package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// metricsAddress is where the guest's containerd serves its metrics.
const metricsAddress = "127.0.0.1:1338"

// metricsConfig has containerd serve them.
const metricsConfig = `
[plugins.'io.containerd.server.v1.metrics']
address = "` + metricsAddress + `"
`

// The metric of containerd for what it has waited for NRI plugins: a histogram, whose sum and count are exact.
const (
	waitedMetric  = "containerd_nri_plugin_latency_seconds"
	waitedCreates = `operation="CreateContainer"`
)

// waited is how often and how long containerd has waited for the answer of NRI plugins to CreateContainer. The difference
// of two readings belongs to the calls between them.
type waited struct {
	calls int
	took  time.Duration
}

// waited reads the metric, which takes containerd half a second: it has thousands of others.
func (m *machine) waited(ctx context.Context) (waited, error) {
	output, err := m.guest.Shell(ctx, "busybox wget -q -T 30 -O - http://"+metricsAddress+"/v1/metrics | grep "+waitedMetric)
	if err != nil {
		return waited{}, err
	}
	return waitedOf(output.Stdout)
}

func waitedOf(metrics string) (w waited, err error) {
	for line := range strings.Lines(metrics) {
		name, labelled, _ := strings.Cut(strings.TrimSpace(line), "{")
		labels, text, _ := strings.Cut(labelled, "} ")
		if !strings.Contains(labels, waitedCreates) || name != waitedMetric+"_sum" && name != waitedMetric+"_count" {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return waited{}, fmt.Errorf("read containerd's metric %q: %w", line, err)
		}
		if name == waitedMetric+"_count" {
			w.calls += int(value)
		} else {
			w.took += time.Duration(value * float64(time.Second))
		}
	}
	return w, nil
}

// each is what one call took since an earlier reading, on the average of so many calls as there must have been.
func (w waited) each(before waited, calls int) (time.Duration, error) {
	if made := w.calls - before.calls; made != calls {
		return 0, fmt.Errorf("containerd has asked NRI plugins for %d containers, not for %d", made, calls)
	}
	return (w.took - before.took) / time.Duration(calls), nil
}
