package bench

import (
	"testing"
	"time"
)

// sample is of containerd 2.4, shortened.
const sample = `# HELP containerd_nri_plugin_latency_seconds NRI plugin operation latency
# TYPE containerd_nri_plugin_latency_seconds histogram
containerd_nri_plugin_latency_seconds_bucket{operation="CreateContainer",plugin="10-nri-sriov",le="0.005"} 3
containerd_nri_plugin_latency_seconds_bucket{operation="CreateContainer",plugin="10-nri-sriov",le="+Inf"} 36
containerd_nri_plugin_latency_seconds_sum{operation="CreateContainer",plugin="10-nri-sriov"} 5.918902813000001
containerd_nri_plugin_latency_seconds_count{operation="CreateContainer",plugin="10-nri-sriov"} 36
containerd_nri_plugin_latency_seconds_sum{operation="RunPodSandbox",plugin="10-nri-sriov"} 0.195014835
containerd_nri_plugin_latency_seconds_count{operation="RunPodSandbox",plugin="10-nri-sriov"} 4
`

func TestWaited(t *testing.T) {
	got, err := waitedOf(sample)
	if want := (waited{calls: 36, took: 5918902813}); err != nil || got != want {
		t.Errorf("%+v, %v, not %+v", got, err, want)
	}
	if got, err := waitedOf(""); err != nil || got != (waited{}) {
		t.Errorf("nothing yet is %+v, %v", got, err)
	}
	if _, err := waitedOf(waitedMetric + `_sum{operation="CreateContainer"} x`); err == nil {
		t.Error("no number is taken for one")
	}
	each, err := got.each(waited{calls: 32, took: got.took - 20*time.Millisecond}, 4)
	if err != nil || each != 5*time.Millisecond {
		t.Errorf("each of 4 calls takes %s, %v, not 5 ms", each, err)
	}
	if _, err := got.each(waited{calls: 30}, 4); err == nil {
		t.Error("6 calls are taken for 4")
	}
}
