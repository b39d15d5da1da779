package kubelet

import (
	"maps"
	"slices"
)

// Count is what the kubelet knows of a resource of ours.
type Count struct {
	Resource string
	// Registered tells whether it counts the resource at all.
	Registered bool
	// Healthy and Unhealthy are numbers of devices; the kubelet gives the healthy ones only.
	Healthy, Unhealthy int
}

// Counts are those of all resources, by name, and how often the kubelet gave a VF to a second pod; see Allocate.
func (k *Kubelet) Counts() (counts []Count, twice int) {
	k.mutex.Lock()
	resources := slices.Sorted(maps.Keys(k.networks))
	twice = k.twice
	k.mutex.Unlock()
	for _, resource := range resources {
		one := Count{Resource: resource, Registered: k.plugin.Registered(resource)}
		for _, device := range k.Devices(resource) {
			if device.Healthy {
				one.Healthy++
			} else {
				one.Unhealthy++
			}
		}
		counts = append(counts, one)
	}
	return counts, twice
}
