package attach

import (
	"slices"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// A runtime does not tell of the end of sandboxes that are older than itself, and tells nobody while the daemon is away.
// So each sign that one may have ended is taken up: its network namespace has lost its name, a VF of it has come home, one
// of its containers was removed. Signs are hints; what counts is whether the sandbox has ended by now. Sweep needs none.

// NamespaceGone is told that something at a path was removed.
func (a *Attacher) NamespaceGone(path string) {
	a.notice(signNamespace, func(e *entry) bool { return e.sandbox.NetNS == path })
}

// FunctionReturned is told that an interface of a function is in the host.
func (a *Attacher) FunctionReturned(address vf.PCIAddress) {
	a.notice(signReturned, func(e *entry) bool {
		return slices.ContainsFunc(e.attachments, func(one Attachment) bool { return one.Address == address })
	})
}

// ContainerRemoved is told that a container of a sandbox was removed.
func (a *Attacher) ContainerRemoved(sandbox string) {
	if a.Known(sandbox) {
		a.notice(signContainer, func(e *entry) bool { return e.sandbox.ID == sandbox })
	}
}

// Sweep releases sandboxes whose end nobody told: the network namespace is gone, or the runtime has not listed them for
// some time. Call it every few seconds.
func (a *Attacher) Sweep() {
	for _, id := range a.known() {
		a.mutex.Lock()
		if e, ok := a.entries[id]; ok && e.phase == recovering && e.listed && !a.over(e) {
			a.resume(e)
		}
		a.mutex.Unlock()
	}
	a.notice(signSweep, func(*entry) bool { return true })
}

// notice releases those of the chosen sandboxes that are over.
func (a *Attacher) notice(sign string, chosen func(*entry) bool) {
	a.mutex.Lock()
	var over []Sandbox
	for _, e := range a.entries {
		if e.phase != releasing && chosen(e) && a.over(e) {
			over = append(over, e.sandbox)
		}
	}
	a.mutex.Unlock()
	for _, sandbox := range over {
		a.counts.addUntold(sign)
		a.log.WithFields(sandboxFields(sandbox)).WithField("noticed", sign).Warn("sandbox has ended without a word of the runtime")
		a.Release(sandbox.ID)
	}
}

// over tells whether a sandbox has ended, or was missing from the runtime's list for so long that it counts as ended. The
// caller holds the mutex.
func (a *Attacher) over(e *entry) bool {
	return a.ended(e) || !e.absentSince.IsZero() && time.Since(e.absentSince) > a.times.Absent
}
