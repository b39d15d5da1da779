package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
	"github.com/nri-sriov/nri-sriov/pkg/kube/queue"
	"github.com/nri-sriov/nri-sriov/pkg/kube/report"
)

// waitBuckets tell hooks that wait for nothing, which take less than a millisecond, from those that wait for the kernel.
// Five milliseconds are the aim, two seconds the runtime's own patience.
var waitBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2}

// workBuckets tell emulated and fast adapters from those that take seconds for each change.
var workBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// meters are what is counted as it happens.
type meters struct {
	answered                   *prometheus.HistogramVec
	waited, released           prometheus.Histogram
	attached                   *prometheus.HistogramVec
	quarantines, limited, lost prometheus.Counter
	refusals, reloads, telling *prometheus.CounterVec
	configRefused              prometheus.Gauge
}

func newMeters() *meters {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	histograms := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &meters{
		answered: histograms("nri_sriov_hook_duration_seconds",
			"Time from the runtime's request to the answer, by NRI event, of pods that ask for VFs or have some.", waitBuckets, "hook"),
		waited: histogram("nri_sriov_gate_wait_seconds",
			"Time that containers waited for the attachments of their pods, as part of CreateContainer.", waitBuckets),
		attached: histograms("nri_sriov_attach_duration_seconds",
			"Time of an attach of all that a pod asks for, off the hooks, by result (attached, failed).", workBuckets, "result"),
		released:    histogram("nri_sriov_release_duration_seconds", "Time of the try that brought a VF back clean.", workBuckets),
		quarantines: counter("nri_sriov_quarantines_total", "Tries of a release after which the VF was not clean."),
		lost:        counter("nri_sriov_lost_vfs_total", "VFs that were gone from under their pods."),
		refusals:    counters("nri_sriov_refusals_total", "Sandboxes and containers that were held back, by reason.", "reason"),
		reloads:     counters("nri_sriov_config_reloads_total", "Changes of the config, by result (taken, refused).", "result"),
		configRefused: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nri_sriov_config_refused", Help: "1 while the config that lies there is refused, and an older one is in force."}),
		telling: counters("nri_sriov_api_tasks_total",
			"What the API server was to be told, by kind (status, event, taint) and outcome of each try.", "kind", "outcome"),
		limited: counter("nri_sriov_events_limited_total", "Events that were not said, since their object had had too many."),
	}
	m.zero()
	return m
}

// zero has every series there from the start, so that its first increase is seen as one.
func (m *meters) zero() {
	for _, reason := range hooks.Reasons() {
		m.refusals.WithLabelValues(string(reason))
	}
	for _, result := range []string{"taken", "refused"} {
		m.reloads.WithLabelValues(result)
	}
	for _, result := range []string{"attached", "failed"} {
		m.attached.WithLabelValues(result)
	}
	for _, kind := range report.Kinds() {
		for _, outcome := range queue.Outcomes() {
			m.telling.WithLabelValues(kind, string(outcome))
		}
	}
}

func (m *meters) register(registry *prometheus.Registry) {
	registry.MustRegister(m.answered, m.waited, m.attached, m.released, m.quarantines, m.lost, m.refusals, m.reloads,
		m.configRefused, m.telling, m.limited)
}

// observe has the plugin tell what the runtime waits for, and whom it refuses.
func (d *daemon) observe() {
	d.plugin.Observe(hooks.Observer{
		Answered: func(hook string, took time.Duration) { d.meters.answered.WithLabelValues(hook).Observe(took.Seconds()) },
		Waited:   func(took time.Duration) { d.meters.waited.Observe(took.Seconds()) },
		Refused: func(refusal hooks.Refusal) {
			if !refusal.Runs {
				d.meters.refusals.WithLabelValues(string(refusal.Reason)).Inc()
			}
			if d.reporter != nil {
				d.reporter.Refused(refusal)
			}
		},
	})
}

// observer counts what becomes of attachments, and passes it on.
func (d *daemon) observer() attach.Observer {
	m, r := d.meters, d.reporter
	o := attach.Observer{
		Settled:     func(s attach.Settled) { m.settled(s) },
		Quarantined: func(attach.Sandbox, attach.Attachment, error) { m.quarantines.Inc() },
		Freed:       func(_ attach.Attachment, took time.Duration) { m.released.Observe(took.Seconds()) },
		Lost:        func(attach.Sandbox, attach.Attachment) { m.lost.Inc() },
	}
	if r == nil {
		return o
	}
	counted := o
	o.Settled = func(s attach.Settled) { counted.Settled(s); r.Settled(s) }
	o.Quarantined = func(s attach.Sandbox, one attach.Attachment, err error) {
		counted.Quarantined(s, one, err)
		r.Quarantined(s, one, err)
	}
	o.Lost = func(s attach.Sandbox, one attach.Attachment) { counted.Lost(s, one); r.Lost(s, one) }
	o.Ended, o.SetAside = r.Ended, r.SetAside
	return o
}

// settled counts an attach; what an earlier daemon began is not timed. A refusal is no attach that failed: nothing was tried, as
// where no VF is free, and the gate counts it.
func (m *meters) settled(s attach.Settled) {
	result := "attached"
	if s.Err != nil {
		result = "failed"
	}
	if s.Resumed || s.Err != nil && hooks.ReasonOfAttach(s.Err) != hooks.AttachFailed {
		return
	}
	m.attached.WithLabelValues(result).Observe(s.Took.Seconds())
}
