package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/nri-sriov/nri-sriov/pkg/kube/api"
	"github.com/nri-sriov/nri-sriov/pkg/kube/events"
	"github.com/nri-sriov/nri-sriov/pkg/kube/queue"
	"github.com/nri-sriov/nri-sriov/pkg/kube/report"
)

// taintEvery is how often it is looked whether the node is ready, taintAfter how long it must have been not so before it
// bears the taint: a daemon or a runtime that is restarted is back by then.
const (
	taintEvery = time.Second
	taintAfter = 5 * time.Second
)

// openReporter makes the way to the API server, where the daemon works in a cluster. Without one that is told, and pods are
// served all the same.
func (d *daemon) openReporter() {
	if !d.flags.kubernetes.Enabled {
		return
	}
	config, err := api.Config(d.flags.kubernetes.Kubeconfig)
	if err == nil {
		d.reporter, err = report.New(report.Options{
			Config: config, Node: d.flags.kubernetes.NodeName, Times: queue.DefaultTimes(),
			Observe: d.observeTelling, Limited: func() { d.meters.limited.Inc() },
		})
	}
	if err != nil {
		d.log.WithError(err).Error("the API server is told nothing: no Events, no network-status, no taint")
		return
	}
	d.log.WithField("node", d.flags.kubernetes.NodeName).Info("working in a cluster")
}

// observeTelling counts, and says what is the matter when it begins and when it ends.
func (d *daemon) observeTelling(kind string, outcome queue.Outcome, err error) {
	d.meters.telling.WithLabelValues(kind, string(outcome)).Inc()
	log := d.log.WithFields(logrus.Fields{"what": kind, "outcome": string(outcome)}).WithError(err)
	switch fault, _ := api.FaultOf(err); {
	case err == nil:
		log.Debug("the API server was told")
		if outcome == queue.Told {
			d.trouble.say("API server, "+kind, nil)
		}
	case errors.Is(err, queue.ErrNotYet), fault == api.Conflict, fault == api.Missing, errors.Is(err, context.Canceled):
		log.Debug("the API server was not told")
	default:
		d.trouble.say("API server, "+kind, err)
		log.Debug("the API server was not told")
	}
}

// tellAPIServer tells the API server what the reporter has for it, and watches over the taint, until ctx ends.
func (d *daemon) tellAPIServer(ctx context.Context) {
	if d.reporter == nil {
		return
	}
	d.background.Go(func() { d.reporter.Run(ctx) })
	d.background.Go(func() { d.watchTaint(ctx) })
}

func (d *daemon) watchTaint(ctx context.Context) {
	var lacksSince time.Time
	for {
		switch lacks := d.lacking() != ""; {
		case !lacks:
			lacksSince = time.Time{}
			d.reporter.Taint(false)
		case !d.node.Load().Taint:
			d.reporter.Taint(false)
		case lacksSince.IsZero():
			lacksSince = time.Now()
		case time.Since(lacksSince) >= taintAfter:
			d.reporter.Taint(true)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(taintEvery):
		}
	}
}

// lastWordsTime is how long a daemon that cannot start tries to say so.
const lastWordsTime = 5 * time.Second

// refusedConfig is an error of a start that is for the config to mend.
type refusedConfig struct{ error }

// Unwrap gives the error itself.
func (r refusedConfig) Unwrap() error { return r.error }

// lastWords says of the node what keeps the daemon from starting, and taints it: a daemon that ends over and over is never there
// for as long as the taint waits. It may have begun to tell the API server already.
func (d *daemon) lastWords(ctx context.Context, err error) {
	if d.trouble == nil {
		d.trouble = newTrouble(d.log)
		d.openReporter()
	}
	if d.reporter == nil || ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lastWordsTime)
	defer cancel()
	if errors.As(err, new(refusedConfig)) {
		d.sayOfNode(events.Warning, report.ConfigRefused, "nri-sriov does not start with this config: %s", err)
	} else {
		d.sayOfNode(events.Warning, report.StartFailed, "nri-sriov does not start: %s", err)
	}
	if node := d.node.Load(); node != nil && node.Taint {
		d.reporter.Taint(true)
	}
	d.reporter.Flush(ctx)
}

// sayOfNode says an Event of the node, where there is somebody to say it to.
func (d *daemon) sayOfNode(kind, reason, format string, args ...any) {
	if d.reporter != nil {
		d.reporter.NodeEvent(kind, reason, fmt.Sprintf(format, args...))
	}
}

// releaseByHand releases what a sandbox has, since a person says so, and has its pod show nothing of ours any more.
func (d *daemon) releaseByHand(sandbox string) {
	pods := d.attacher.Pods()
	d.attacher.Release(sandbox)
	for _, pod := range pods {
		if pod.Sandbox.ID == sandbox && d.reporter != nil {
			d.reporter.Withdrawn(pod.Sandbox)
		}
	}
}

// recordSetAside says which record of the journal could not be read.
func (d *daemon) recordSetAside(path string, err error) {
	d.sayOfNode(events.Warning, report.RecordSetAside, "the journal's record %s was set aside: %s", path, err)
}
