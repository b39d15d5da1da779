package attach

import (
	"errors"
	"fmt"
)

// ErrQuota says that a namespace has all that it may have of a network.
var ErrQuota = errors.New("quota exceeded")

// overQuota is ErrQuota in the words that the pod's owner reads.
type overQuota struct{ error }

// Unwrap makes it ErrQuota.
func (overQuota) Unwrap() error { return ErrQuota }

// checkQuota refuses what is more than the pods of a namespace may have of a network at a time. VFs on their way back
// count until they are free. The caller holds the mutex.
func (a *Attacher) checkQuota(e *entry) error {
	asked := map[string]int{}
	for _, want := range e.wants {
		asked[want.Network] += len(want.Interfaces)
	}
	for _, want := range e.wants {
		if want.MaxPerNamespace == 0 {
			continue
		}
		used := 0
		for _, other := range a.entries {
			if other != e && other.sandbox.ID != e.sandbox.ID && other.sandbox.Namespace == e.sandbox.Namespace {
				used += other.uses(want.Network)
			}
		}
		if used+asked[want.Network] > want.MaxPerNamespace {
			return overQuota{fmt.Errorf("network %q: namespace %s may have %d VFs of it on this node, has %d, and %d are wanted: end one of its pods",
				want.Network, e.sandbox.Namespace, want.MaxPerNamespace, used, asked[want.Network])}
		}
	}
	return nil
}

// uses counts the VFs of a network that a sandbox has or is about to have.
func (e *entry) uses(network string) int {
	count := 0
	for _, one := range e.attachments {
		if one.Network == network && !one.Freed {
			count++
		}
	}
	if len(e.attachments) > 0 || e.phase == failed {
		return count
	}
	for _, want := range e.wants {
		if want.Network == network {
			count += len(want.Interfaces)
		}
	}
	return count
}
