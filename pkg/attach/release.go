package attach

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/sirupsen/logrus"
)

// withdraw brings the VFs of a failed attempt back. The caller holds the mutex.
func (a *Attacher) withdraw(e *entry) {
	withdrawn := make(chan struct{})
	ns := e.ns
	e.ns, e.withdrawn = nil, withdrawn
	a.markReleasing(e)
	a.lives.Go(func() {
		defer close(withdrawn)
		a.bringBack(e, ns)
		if len(a.copyOf(e)) == 0 {
			a.forget(e)
		}
	})
}

// markReleasing frees what was claimed and never planned, and marks the rest. The caller holds the mutex.
func (a *Attacher) markReleasing(e *entry) {
	for i := range e.attachments {
		e.attachments[i].State = Releasing
		if !e.attachments[i].Freed {
			a.pool.Release(e.sandbox.ID, e.attachments[i].Address, "")
		}
	}
	a.pool.Unclaim(e.sandbox.ID)
}

// release is the end of a sandbox: its VFs come back, then its traces go.
func (a *Attacher) release(e *entry, ns *vf.Namespace) {
	a.mutex.Lock()
	if ns == nil {
		ns, e.ns = e.ns, nil
	}
	e.letGo()
	a.markReleasing(e)
	a.mutex.Unlock()
	a.bringBack(e, ns)
	if len(a.copyOf(e)) > 0 {
		return // the daemon ends; the next one goes on from the journal
	}
	a.forget(e)
	a.mutex.Lock()
	defer a.mutex.Unlock()
	delete(a.entries, e.sandbox.ID)
}

// bringBack releases each VF of e until it is clean, and takes it off the list then. The namespace is closed after the
// first try: without us the kernel ends it, which sends home what could not be moved.
func (a *Attacher) bringBack(e *entry, ns *vf.Namespace) {
	attachments := a.copyOf(e)
	if len(attachments) > 0 {
		a.putSoon(e)
	}
	var all, first sync.WaitGroup
	for _, one := range attachments {
		first.Add(1)
		all.Go(func() {
			tried := sync.OnceFunc(first.Done)
			err := a.releaseOne(e, one, ns, tried)
			tried()
			for pause := a.times.Retry; err != nil; pause = min(2*pause, a.times.MaxRetry) {
				select {
				case <-a.ctx.Done():
					return // the journal holds it
				case <-time.After(pause):
				}
				if one, ok := a.find(e, one.Address); ok {
					a.putSoon(e)
					err = a.releaseOne(e, one, nil, tried)
				}
			}
		})
	}
	first.Wait()
	closeNamespace(ns)
	all.Wait()
}

// releaseOne is one try: what the IPAM plugin gave, then the VF, each whatever becomes of the other. It is not cut short
// by the daemon's end, only by its own time. It calls tried when it needs the namespace no more.
func (a *Attacher) releaseOne(e *entry, one Attachment, ns *vf.Namespace, tried func()) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), a.times.Release)
	defer cancel()
	log := a.logOf(e.sandbox, one)
	var leaseErr, err error
	if one.Delegate != nil && one.Delegate.Leased {
		if leaseErr = a.address.Unaddress(ctx, e.sandbox, one); leaseErr != nil {
			log.WithError(leaseErr).Error("the IPAM plugin did not take its addresses back; it is asked again")
		}
	}
	if !one.Freed {
		err = a.releaseVF(ctx, e, one, ns, tried)
	}
	err = sentence([]error{err, leaseErr})
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if err == nil {
		e.attachments = slices.DeleteFunc(e.attachments, func(each Attachment) bool { return each.Address == one.Address })
		return nil
	}
	for i := range e.attachments {
		if each := &e.attachments[i]; each.Address == one.Address {
			each.Error = err.Error()
			if each.Delegate != nil {
				each.Delegate = &Delegate{Config: each.Delegate.Config, IPs: each.Delegate.IPs, Leased: leaseErr != nil}
			}
		}
	}
	return err
}

func (a *Attacher) releaseVF(ctx context.Context, e *entry, one Attachment, ns *vf.Namespace, tried func()) error {
	begun, log := time.Now(), a.logOf(e.sandbox, one)
	pf, known, ok := a.pool.Find(one.Address)
	err := ErrGone
	if ok {
		one.Rest = known.Rest // as the config says now
		err = a.workers.Do(ctx, one.PF, func() error { return a.device.Release(ctx, one, pf, ns) })
	}
	tried()
	switch {
	case errors.Is(err, ErrGone):
		log.Warn("VF is gone; nothing to release")
		a.pool.Exclude(e.sandbox.ID, one.Address, "is gone")
	case err != nil:
		log.WithError(err).Error("VF in quarantine; release is tried again")
		a.pool.Release(e.sandbox.ID, one.Address, err.Error())
		a.observer.quarantined(e.sandbox, one, err)
		return err
	default:
		a.settleAtRest(one, log)
		// The journal first: the next owner's VF must not be found in our record after a kill.
		a.markFreed(e, one.Address)
		a.putOrWarn(context.WithoutCancel(ctx), e)
		a.pool.Free(e.sandbox.ID, one.Address)
		took := time.Since(begun)
		log.WithField("took", took.String()).Info("VF free")
		a.observer.freed(one, took)
	}
	return nil
}

// settleAtRest tells the pool how a function lies that has come back.
func (a *Attacher) settleAtRest(one Attachment, log *logrus.Entry) {
	home := one.homeInterfaces()
	switch {
	case one.Rest != "":
		a.pool.Rebound(one.Address, one.Rest, nil)
	case one.Whole && len(home) > 0:
		a.pool.Rename(one.Address, home[0])
	}
	if one.Rest != "" || one.Device != config.DeviceVFIO || a.reread == nil {
		return
	}
	// Its network driver has it again, perhaps with other names, and a PF has other VFs.
	fresh, err := a.reread(one.PF)
	if err != nil {
		log.WithError(err).Warn("PF cannot be looked at again")
		return
	}
	if one.Whole {
		a.pool.Replace(fresh)
		return
	}
	for _, each := range fresh.VFs {
		if each.Address == one.Address {
			a.pool.Rebound(one.Address, each.Driver, each.Interfaces)
		}
	}
}

func (a *Attacher) markFreed(e *entry, address vf.PCIAddress) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	for i := range e.attachments {
		if e.attachments[i].Address == address {
			e.attachments[i].Freed = true
		}
	}
}

// find gives an attachment as it is now.
func (a *Attacher) find(e *entry, address vf.PCIAddress) (Attachment, bool) {
	for _, one := range a.copyOf(e) {
		if one.Address == address {
			return one, true
		}
	}
	return Attachment{}, false
}
