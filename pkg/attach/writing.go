package attach

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/config"
)

// patience is how long the way back waits for a disk before it begins.
const patience = time.Second

// writers bounds how many sandboxes are journaled at the same time. Each write holds a thread, and threads stay: a start with
// 500 sandboxes would leave hundreds of them, and several MB of their stacks.
const writers = 16

// put writes the entry's record, without the Attacher's mutex: a slow disk holds up this sandbox only. Records of one
// sandbox are written in the order in which they became true.
func (a *Attacher) put(e *entry) error {
	e.writing.Lock()
	defer e.writing.Unlock()
	a.mutex.Lock()
	r := record{Sandbox: e.sandbox, Releasing: e.phase == releasing || e.phase == failed, Attachments: slices.Clone(e.attachments)}
	a.mutex.Unlock()
	return a.onDisk(func() error { return a.putRecord(r) })
}

func (a *Attacher) onDisk(write func() error) error {
	a.disk <- struct{}{}
	defer func() { <-a.disk }()
	return write()
}

func (a *Attacher) putRecord(r record) error {
	if a.copies != nil && slices.ContainsFunc(r.Attachments, func(one Attachment) bool { return one.Device == config.DeviceVFIO }) {
		if err := a.copies.Put(r.Sandbox.ID, r); err != nil {
			return err
		}
	}
	return a.journal.Put(r.Sandbox.ID, r)
}

// putIn is put, for as long as ctx allows. A write that hangs is not called off: what is written or removed later comes
// after it.
func (a *Attacher) putIn(ctx context.Context, e *entry) error {
	done := make(chan error, 1)
	a.lives.Go(func() { done <- a.put(e) })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("write the journal of sandbox %s: the disk does not answer; see the kernel's log: %w", e.sandbox.ID, ctx.Err())
	}
}

// writeDown writes what a pod has got: for itself, and for us.
func (a *Attacher) writeDown(ctx context.Context, e *entry) error {
	if err := a.results.Write(e.sandbox.ID, a.copyOf(e)); err != nil {
		return err
	}
	return a.putIn(ctx, e)
}

// putOrWarn is for the way back, which a broken disk does not hold up.
func (a *Attacher) putOrWarn(ctx context.Context, e *entry) {
	if e.sandbox.ID == "" {
		return // a VF that was found unclean; it is found so again
	}
	if err := a.putIn(ctx, e); err != nil {
		a.log.WithFields(sandboxFields(e.sandbox)).WithError(err).Warn("release goes on without its journal")
	}
}

// putSoon is putOrWarn with a disk that is given some time only.
func (a *Attacher) putSoon(e *entry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), patience)
	defer cancel()
	a.putOrWarn(ctx, e)
}

// forget removes the traces of a sandbox that has no VF any more. It is never called with the mutex held: the disk may be
// slow, and the hooks want the mutex.
func (a *Attacher) forget(e *entry) {
	e.writing.Lock()
	defer e.writing.Unlock()
	a.erase(e.sandbox.ID)
}

func (a *Attacher) erase(sandbox string) {
	err := a.eraseFiles(sandbox)
	if err != nil {
		a.mutex.Lock()
		a.traces[sandbox] = true
		a.mutex.Unlock()
	}
	if a.copies != nil {
		err = errors.Join(err, a.copies.Delete(sandbox))
	}
	err = errors.Join(err, a.journal.Delete(sandbox))
	if err != nil {
		a.log.WithField("sandbox", sandbox).WithError(err).Warn("traces of a released sandbox stay on disk until that can be written")
	}
}

// eraseFiles removes what was there for the pod.
func (a *Attacher) eraseFiles(sandbox string) error {
	err := a.results.Remove(sandbox)
	if a.hugepages != nil {
		err = errors.Join(err, a.hugepages.Remove(sandbox))
	}
	return err
}

// setAside puts a record aside that makes no sense.
func (a *Attacher) setAside(sandbox string, reason error) {
	aside := a.journal.SetAside(sandbox, reason)
	if !aside.Aside && a.copies != nil { // it may have been a copy's
		if copied := a.copies.SetAside(sandbox, reason); copied.Aside {
			aside = copied
		}
	}
	a.observer.setAside(sandbox, aside.Reason)
	log := a.log.WithField("sandbox", sandbox).WithField("file", aside.Path).WithError(aside.Reason)
	if aside.Aside {
		log.Error("a journal record makes no sense and was set aside")
	} else {
		log.Error("a journal record makes no sense and is passed over")
	}
}

// Tidy does what a disk has refused before: it removes what released sandboxes have left, and writes down what pods have.
// Call it every few seconds, not in a hook.
func (a *Attacher) Tidy(ctx context.Context) {
	a.mutex.Lock()
	traces := slices.Collect(maps.Keys(a.traces))
	var unwritten []*entry
	for _, e := range a.entries {
		if e.unwritten && e.phase == ready {
			unwritten = append(unwritten, e)
		}
	}
	a.mutex.Unlock()
	for _, sandbox := range traces {
		if a.Known(sandbox) || a.eraseFiles(sandbox) == nil {
			a.mutex.Lock()
			delete(a.traces, sandbox)
			a.mutex.Unlock()
		}
	}
	for _, e := range unwritten {
		if a.writeDown(ctx, e) == nil {
			a.mutex.Lock()
			e.unwritten = false
			a.mutex.Unlock()
		}
	}
}
