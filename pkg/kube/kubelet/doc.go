// Package kubelet is what the node's kubelet and this daemon say to each other: which VFs there are for each network
// (the device plugin), and which of them were given to which pod (the pod-resources API, and what the kubelet says when it
// gives them). What it gave is promised in the inventory, so that nobody else gets it.
//
// The package decides nothing about pods: pkg/hooks asks it, off the hooks. It knows neither NRI nor attachments.
package kubelet
