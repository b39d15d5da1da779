package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/kube/kubelet"
	"github.com/nri-sriov/nri-sriov/pkg/kube/report"
)

// collector tells the node's state whenever it is scraped, and asks nobody for it who may be slow.
type collector struct {
	pool     *inventory.Pool
	attacher *attach.Attacher
	drift    *drift
	plugin   *hooks.Plugin
	storage  storage
	// waiting counts what the API server has not been told yet, by kind; nil where nobody tells it anything.
	waiting func() map[string]int
	// kubelet is nil outside Kubernetes.
	kubelet *kubelet.Kubelet
}

var (
	vfsDesc         = prometheus.NewDesc("nri_sriov_vfs", "VFs by PF and state.", []string{"pf", "state"}, nil)
	driftDesc       = prometheus.NewDesc("nri_sriov_drifted_attachments", "Attachments that differed from what the pod was given, when it was looked last, about once a minute; see nri-sriov check --live.", nil, nil)
	quarantinedDesc = prometheus.NewDesc("nri_sriov_quarantined_vfs", "VFs in quarantine: on their way back, and not clean.", []string{"pf"}, nil)
	waitingDesc     = prometheus.NewDesc("nri_sriov_api_waiting", "What the API server has not been told yet, by kind (status, event, taint).", []string{"kind"}, nil)
	lateDesc        = prometheus.NewDesc("nri_sriov_late_attaches_total", "Pods that had started while the daemon was away, and whose VFs came late.", nil, nil)
	untoldDesc      = prometheus.NewDesc("nri_sriov_untold_ends_total", "Sandboxes whose end the runtime did not tell of, by the sign that was noticed.", []string{"noticed"}, nil)
	connectedDesc   = prometheus.NewDesc("nri_sriov_nri_connected", "1 while connected to the runtime and synchronised.", nil, nil)

	registeredDesc = prometheus.NewDesc("nri_sriov_kubelet_registered", "1 while the kubelet counts the resource.", []string{"resource"}, nil)
	devicesDesc    = prometheus.NewDesc("nri_sriov_kubelet_devices", "What the kubelet is told of a resource: healthy devices may be given to pods.", []string{"resource", "health"}, nil)
	twiceDesc      = prometheus.NewDesc("nri_sriov_kubelet_given_twice_total", "VFs that the kubelet gave for a second network before it had heard of the first; the second pod waits.", nil, nil)

	journalWritableDesc = prometheus.NewDesc("nri_sriov_journal_writable", "1 while records can be written; see /readyz for what is the matter.", nil, nil)
	journalErrorsDesc   = prometheus.NewDesc("nri_sriov_journal_errors_total", "Writes of records that failed.", nil, nil)
	journalAsideDesc    = prometheus.NewDesc("nri_sriov_journal_records_set_aside_total", "Records that could not be read and were set aside.", nil, nil)
)

// metrics serves the metrics of the node, the Go runtime and the process.
func metrics(node collector, counted *meters) http.Handler {
	return promhttp.HandlerFor(registryOf(node, counted), promhttp.HandlerOpts{})
}

func registryOf(node collector, counted *meters) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	counted.register(registry)
	registry.MustRegister(node, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// Describe and Collect make it a prometheus.Collector.
func (c collector) Describe(descs chan<- *prometheus.Desc) {
	descs <- vfsDesc
	descs <- quarantinedDesc
	descs <- waitingDesc
	descs <- registeredDesc
	descs <- devicesDesc
	descs <- twiceDesc
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
		count, quarantined := map[inventory.State]int{}, 0
		for _, one := range provider.VFs {
			count[one.State]++
			if one.State == inventory.Releasing && one.Reason != "" {
				quarantined++
			}
		}
		values <- prometheus.MustNewConstMetric(quarantinedDesc, prometheus.GaugeValue, float64(quarantined), provider.PF.Name())
		for _, state := range []inventory.State{inventory.Free, inventory.Claimed, inventory.Attached, inventory.Releasing, inventory.Excluded} {
			values <- prometheus.MustNewConstMetric(vfsDesc, prometheus.GaugeValue, float64(count[state]), provider.PF.Name(), string(state))
		}
	}
	if c.waiting != nil {
		waiting := c.waiting()
		for _, kind := range report.Kinds() {
			values <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(waiting[kind]), kind)
		}
	}
	if c.kubelet != nil {
		c.collectKubelet(values)
	}
	if drifted, known := c.drift.last(); known {
		values <- prometheus.MustNewConstMetric(driftDesc, prometheus.GaugeValue, float64(drifted))
	}
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

func (c collector) collectKubelet(values chan<- prometheus.Metric) {
	counts, twice := c.kubelet.Counts()
	for _, one := range counts {
		values <- prometheus.MustNewConstMetric(registeredDesc, prometheus.GaugeValue, oneIf(one.Registered), one.Resource)
		values <- prometheus.MustNewConstMetric(devicesDesc, prometheus.GaugeValue, float64(one.Healthy), one.Resource, "healthy")
		values <- prometheus.MustNewConstMetric(devicesDesc, prometheus.GaugeValue, float64(one.Unhealthy), one.Resource, "unhealthy")
	}
	values <- prometheus.MustNewConstMetric(twiceDesc, prometheus.CounterValue, float64(twice))
}

func oneIf(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}
