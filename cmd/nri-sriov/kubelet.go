package main

import (
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
	"github.com/nri-sriov/nri-sriov/pkg/kube/kubelet"
)

// openKubelet makes ready what is told to the kubelet, by its Run; outside Kubernetes there is none, and the answer is nil.
func (d *daemon) openKubelet(node *config.Node) (*hooks.Kubelet, error) {
	if !d.flags.kubernetes.Enabled {
		d.offerToKubelet(node)
		return nil, nil
	}
	var err error
	d.kubelet, err = kubelet.New(kubelet.Options{
		Dir: d.flags.kubernetes.KubeletDir, Pool: d.pool, Ready: d.servesPods, Times: kubelet.DefaultTimes(), Log: d.log,
	})
	if err != nil {
		return nil, err
	}
	d.offerToKubelet(node)
	return &hooks.Kubelet{Given: d.kubelet.Given, Promised: d.kubelet.Promised}, nil
}

// offerToKubelet has the networks of a config counted. Outside Kubernetes it says which of them nobody gets.
func (d *daemon) offerToKubelet(node *config.Node) {
	if d.kubelet != nil {
		d.kubelet.Configure(node)
		return
	}
	for i := range node.Networks {
		if one := &node.Networks[i]; one.NeedsKubelet() {
			d.log.WithField("network", one.Name).Error("the network's resourceName or requireResource needs the kubelet: its pods are refused until the daemon runs with --kubernetes")
		}
	}
}

// servesPods tells whether pods get what they ask for: the plugin has its node, and the runtime asks it.
func (d *daemon) servesPods() bool {
	return d.serving.Load() && d.connected.Load() && d.plugin.Synchronised()
}
