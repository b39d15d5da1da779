package attach

import (
	"fmt"
	"reflect"
	"time"
)

// ErrCorrected says that what a sandbox is to have was answered otherwise than before.
var ErrCorrected = fmt.Errorf("%w: the kubelet says now that the pod was given other VFs than it said before; the container is tried again", ErrAtWork)

// Admit notes that a container of a sandbox is let through with what the sandbox has, or without anything. From then on
// nothing is corrected. The error says that what it is let through with was taken back since.
func (a *Attacher) Admit(sandbox string, with []Attachment) error {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	e, ok := a.entries[sandbox]
	if !ok {
		return nil
	}
	if len(with) > 0 && e.phase != ready {
		return fmt.Errorf("%w: what the container was to have has been taken back; the container is tried again", ErrAtWork)
	}
	e.admitted = true
	return nil
}

// Correct gives back what a sandbox has by an answer that is not the one of now, so that it is served by that when it is
// tried anew. A sandbox of which a container may run keeps what it has, and so does one that has it by a record or by its
// own wants.
func (a *Attacher) Correct(sandbox string, now []Want) (corrected bool) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	e, ok := a.entries[sandbox]
	if !ok || e.phase != ready || !e.answered || e.admitted || reflect.DeepEqual(e.wants, now) {
		return false
	}
	ns, err := a.podNamespace(e)
	if err != nil {
		return false // it is ending
	}
	e.ns, e.phase, e.err, e.failedAt = ns, failed, ErrCorrected, time.Now()
	a.log.WithFields(sandboxFields(e.sandbox)).Warn("the kubelet gave the pod other VFs than it said before; those that it has are on their way back")
	a.withdraw(e)
	return true
}
