// Package protocol is what the two sides of the benchmark share: the host (package bench) and the program inside the
// guest. It holds types and constants only.
package protocol

import "time"

// What every candidate gives a namespace: the VF under this name, in this VLAN, with this address.
const (
	Interface = "net1"
	VLAN      = 100
	Address   = "192.0.2.10/24"
)

// Hold is how long the VF stays where it is before it goes back: a NIC that has just been raised is busy for a while.
const Hold = time.Second

// Step is one part of the work, and how long it took.
type Step struct {
	Name string
	Took time.Duration
}

// Round is one VF given and taken back.
type Round struct {
	Attach, Detach []Step
}

// Total is the time of all steps.
func Total(steps []Step) time.Duration {
	var total time.Duration
	for _, step := range steps {
		total += step.Took
	}
	return total
}
