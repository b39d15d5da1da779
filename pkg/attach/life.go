package attach

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/sirupsen/logrus"
)

// attach is one attempt: claim granted, intent on disk, then the kernel, each VF on its PF's worker.
func (a *Attacher) attach(ctx context.Context, e *entry) error {
	ctx, cancel := a.limit(ctx, e)
	defer cancel()
	select {
	case <-e.claim.Granted:
	case <-ctx.Done():
		return fmt.Errorf("no VF came free in time: %s", a.pool.Unclean())
	}
	attachments, err := a.plan(e)
	if err != nil {
		return err
	}
	a.mutex.Lock()
	e.attachments = attachments
	a.mutex.Unlock()
	if err := a.putIn(ctx, e); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	if err := a.results.Check(e.sandbox.ID); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	return a.bring(ctx, e, func(vf.PF, Attachment) (vf.Settings, error) { return vf.DefaultSettings(), nil })
}

// plan makes attachments of the granted VFs.
func (a *Attacher) plan(e *entry) ([]Attachment, error) {
	var attachments []Attachment
	for i, want := range e.wants {
		for j, one := range e.claim.VFs[i] {
			pf, known, ok := a.pool.Find(one.Address)
			if !ok {
				return nil, fmt.Errorf("network %q: %w: %s", want.Network, ErrGone, one.Address)
			}
			resting, held, err := a.device.Rest(one.Address)
			switch {
			case err != nil:
			case held && dpdk.IsStandIn(known.Driver):
				err = fmt.Errorf("%s: %w", one.Address, dpdk.ErrHeld)
			case len(resting) == 0 && known.Rest == "":
				err = fmt.Errorf("%s: somebody else has taken it from its network driver: %w", one.Address, vf.ErrNoInterface)
			}
			if errors.Is(err, ErrGone) || errors.Is(err, vf.ErrNoInterface) || errors.Is(err, journal.ErrLater) {
				a.pool.Exclude(e.sandbox.ID, one.Address, err.Error()) // so that the next try takes another
			}
			if err != nil {
				return nil, fmt.Errorf("network %q: %w", want.Network, err)
			}
			attachment, err := newAttachment(want, want.Interfaces[j], pf, known, resting)
			if err != nil {
				return nil, fmt.Errorf("network %q: %w", want.Network, err)
			}
			if attachment.NumVFs > 0 {
				attachment.VFNames = a.pool.VFNames(pf.Address)
			}
			attachments = append(attachments, attachment)
		}
	}
	return attachments, nil
}

// bring attaches all of a sandbox's VFs, whatever way each has gone already, and writes the results.
func (a *Attacher) bring(ctx context.Context, e *entry, have func(vf.PF, Attachment) (vf.Settings, error)) error {
	attachments := a.copyOf(e)
	had := !slices.ContainsFunc(attachments, func(one Attachment) bool { return !one.resumed || one.State != Attached })
	errs := make([]error, len(attachments))
	var all sync.WaitGroup
	for i := range attachments {
		all.Go(func() {
			one := &attachments[i]
			begun := time.Now()
			errs[i] = a.workers.Do(ctx, one.PF, func() error { return a.bringOne(ctx, e, one, have) })
			if errs[i] == nil {
				errs[i] = a.complete(ctx, e, one)
			}
			if errs[i] == nil {
				a.logOf(e.sandbox, *one).WithField("took", time.Since(begun).String()).Info("VF attached")
			} else {
				errs[i] = fmt.Errorf("network %q: attach %s as %s: %w", one.Network, one.Address, one.Interface, errs[i])
			}
		})
	}
	all.Wait()
	if err := sentence(errs); err != nil {
		a.mutex.Lock()
		defer a.mutex.Unlock()
		for i := range e.attachments {
			e.attachments[i].Delegate = attachments[i].Delegate
		}
		return err
	}
	a.mutex.Lock()
	e.attachments = attachments
	a.mutex.Unlock()
	err := a.writeDown(ctx, e)
	if err != nil && had {
		// The pod works with its VFs: no disk takes them away.
		a.log.WithFields(sandboxFields(e.sandbox)).WithError(err).Warn("what the pod has could not be written down again; it is tried again")
		a.mutex.Lock()
		e.unwritten = true
		a.mutex.Unlock()
		return nil
	}
	return err
}

// sentence joins errors in one line, which is what the kubelet shows.
func sentence(errs []error) error {
	var joined error
	for _, err := range errs {
		switch {
		case joined == nil:
			joined = err
		case err != nil:
			joined = fmt.Errorf("%w; %w", joined, err)
		}
	}
	return joined
}

func (a *Attacher) bringOne(ctx context.Context, e *entry, one *Attachment, have func(vf.PF, Attachment) (vf.Settings, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	pf, _, ok := a.pool.Find(one.Address)
	if !ok {
		return ErrGone
	}
	settings, err := have(pf, *one)
	if err != nil {
		return err
	}
	if err := a.device.Attach(ctx, one, pf, settings, e.ns); err != nil {
		return err
	}
	a.pool.Rebound(one.Address, one.Driver, one.hostInterfaces())
	return nil
}

// complete is what is left to do beside the PF's worker: addresses and the result.
func (a *Attacher) complete(ctx context.Context, e *entry, one *Attachment) (err error) {
	if one.State != Attached {
		if err := a.address.Address(ctx, e.sandbox, one, e.ns); err != nil {
			return err
		}
	}
	one.State, one.Error = Attached, ""
	one.Result, err = one.result(e.sandbox.NetNS)
	return err
}

// announce tells the neighbours of a sandbox's addresses; what the pod drives itself it announces itself.
func (a *Attacher) announce(ctx context.Context, e *entry, ns *vf.Namespace) {
	var all sync.WaitGroup
	for _, one := range a.copyOf(e) {
		if one.Device == config.DeviceVFIO {
			continue
		}
		all.Go(func() {
			if err := a.announcer.Announce(ctx, one, ns); err != nil && ctx.Err() == nil {
				a.logOf(e.sandbox, one).WithError(err).Warn("neighbours were not told of the addresses")
			}
		})
	}
	all.Wait()
}

// settle ends an attempt: with all attachments there, or with all VFs on their way back. In the first case it hands the
// namespace over.
func (a *Attacher) settle(e *entry, err error, settled chan struct{}) (ns *vf.Namespace) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	defer close(settled)
	switch {
	case e.phase != attaching:
		// Called off: the release, which waits for settled, brings back what is there.
	case err == nil:
		for _, one := range e.attachments {
			a.pool.Attach(e.sandbox.ID, one.Address)
		}
		e.phase = ready
		ns, e.ns = e.ns, nil
		a.tell(e)
	case errors.Is(err, errNothing):
		e.phase = without
		e.letGo()
		delete(a.entries, e.sandbox.ID)
		a.observer.ended(e.sandbox)
	case a.ctx.Err() != nil:
		e.letGo() // the daemon ends; the next one goes on from the journal
	default:
		e.phase, e.err, e.failedAt = failed, err, time.Now()
		a.complain(e, err)
		a.tell(e)
		a.withdraw(e)
	}
	return ns
}

// complain logs why an attempt has failed.
func (a *Attacher) complain(e *entry, err error) {
	log := a.log.WithFields(sandboxFields(e.sandbox)).WithError(err)
	if errors.Is(err, ErrUnanswered) {
		log.Warn("it is not known what the pod is to have")
		return
	}
	log.Error("attach failed; its VFs are on their way back")
}

// tell tells of an attempt that has come to its end. The caller holds the mutex.
func (a *Attacher) tell(e *entry) {
	a.observer.settled(Settled{
		Sandbox: e.sandbox, Err: e.err, Attachments: slices.Clone(e.attachments), Late: e.late, Took: time.Since(e.begun),
		Resumed: slices.ContainsFunc(e.attachments, func(one Attachment) bool { return one.resumed }),
	})
	e.late = false
}

func (a *Attacher) copyOf(e *entry) []Attachment {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return slices.Clone(e.attachments)
}

func (a *Attacher) logOf(sandbox Sandbox, one Attachment) *logrus.Entry {
	return a.log.WithFields(sandboxFields(sandbox)).WithFields(logrus.Fields{
		"pci": one.Address.String(), "pf": one.PFName, "vf": one.VFID, "interface": one.Interface, "network": one.Network,
	})
}

func sandboxFields(sandbox Sandbox) logrus.Fields {
	return logrus.Fields{"sandbox": sandbox.ID, "pod": sandbox.Name, "namespace": sandbox.Namespace}
}
