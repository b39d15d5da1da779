package main

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
)

// collector asks for the node's state whenever it is scraped.
type collector struct {
	pool     *inventory.Pool
	attacher *attach.Attacher
	plugin   *hooks.Plugin
	storage  storage
}

var (
	vfsDesc = prometheus.NewDesc("nri_sriov_vfs", "VFs by PF and state.", []string{"pf", "state"}, nil)
	// Drift is asked of the kernel at each scrape: a read of each PF's VF list and of each pod's links.
	driftDesc     = prometheus.NewDesc("nri_sriov_drifted_attachments", "Attachments that differ from what the pod was given; see nri-sriov check --live.", nil, nil)
	lateDesc      = prometheus.NewDesc("nri_sriov_late_attaches_total", "Pods that had started while the daemon was away, and whose VFs came late.", nil, nil)
	untoldDesc    = prometheus.NewDesc("nri_sriov_untold_ends_total", "Sandboxes whose end the runtime did not tell of, by the sign that was noticed.", []string{"noticed"}, nil)
	connectedDesc = prometheus.NewDesc("nri_sriov_nri_connected", "1 while connected to the runtime and synchronised.", nil, nil)

	journalWritableDesc = prometheus.NewDesc("nri_sriov_journal_writable", "1 while records can be written; see /readyz for what is the matter.", nil, nil)
	journalErrorsDesc   = prometheus.NewDesc("nri_sriov_journal_errors_total", "Writes of records that failed.", nil, nil)
	journalAsideDesc    = prometheus.NewDesc("nri_sriov_journal_records_set_aside_total", "Records that could not be read and were set aside.", nil, nil)
)

// metrics serves the metrics of the node, the Go runtime and the process.
func metrics(node collector) http.Handler {
	registry := prometheus.NewRegistry()
	observe(registry, node.plugin)
	registry.MustRegister(node, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// waitBuckets tell hooks that wait for nothing, which take less than a millisecond, from those that wait for the kernel.
// Five milliseconds are the aim, two seconds the runtime's own patience.
var waitBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2}

// observe counts what the runtime waits for.
func observe(registry *prometheus.Registry, plugin *hooks.Plugin) {
	answered := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "nri_sriov_hook_duration_seconds", Buckets: waitBuckets,
		Help: "Time from the runtime's request to the answer, by NRI event, of pods that ask for VFs or have some.",
	}, []string{"hook"})
	waited := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "nri_sriov_gate_wait_seconds", Buckets: waitBuckets,
		Help: "Time that containers waited for the attachments of their pods, as part of CreateContainer.",
	})
	registry.MustRegister(answered, waited)
	plugin.Observe(hooks.Observer{
		Answered: func(hook string, took time.Duration) { answered.WithLabelValues(hook).Observe(took.Seconds()) },
		Waited:   func(took time.Duration) { waited.Observe(took.Seconds()) },
	})
}

// Describe and Collect make it a prometheus.Collector.
func (c collector) Describe(descs chan<- *prometheus.Desc) {
	descs <- vfsDesc
	descs <- driftDesc
	descs <- lateDesc
	descs <- untoldDesc
	descs <- connectedDesc
	descs <- journalWritableDesc
	descs <- journalErrorsDesc
	descs <- journalAsideDesc
}

// Collect reads the state.
func (c collector) Collect(values chan<- prometheus.Metric) {
	for _, provider := range c.pool.Providers() {
		count := map[inventory.State]int{}
		for _, one := range provider.VFs {
			count[one.State]++
		}
		for _, state := range []inventory.State{inventory.Free, inventory.Claimed, inventory.Attached, inventory.Releasing, inventory.Excluded} {
			values <- prometheus.MustNewConstMetric(vfsDesc, prometheus.GaugeValue, float64(count[state]), provider.PF.Name(), string(state))
		}
	}
	values <- prometheus.MustNewConstMetric(driftDesc, prometheus.GaugeValue, float64(len(c.attacher.Drift())))
	counts := c.attacher.Counts()
	values <- prometheus.MustNewConstMetric(lateDesc, prometheus.CounterValue, float64(counts.Late))
	for sign, count := range counts.Untold {
		values <- prometheus.MustNewConstMetric(untoldDesc, prometheus.CounterValue, float64(count), sign)
	}
	values <- prometheus.MustNewConstMetric(connectedDesc, prometheus.GaugeValue, oneIf(c.plugin.Synchronised()))
	values <- prometheus.MustNewConstMetric(journalWritableDesc, prometheus.GaugeValue, oneIf(c.storage.trouble() == nil))
	values <- prometheus.MustNewConstMetric(journalErrorsDesc, prometheus.CounterValue, float64(c.storage.errors()))
	values <- prometheus.MustNewConstMetric(journalAsideDesc, prometheus.CounterValue, float64(c.storage.setAside()))
}

func oneIf(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}
