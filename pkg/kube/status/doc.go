// Package status owns the annotation k8s.v1.cni.cncf.io/network-status of pods, as far as the entries in it are ours:
// what an entry is, and how entries are changed without touching those of others.
package status
