package attach

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Recover takes over what the journal tells, before the runtime is asked: VFs of known sandboxes are theirs, those of
// sandboxes that have ended are released, and free VFs that are not clean are made so.
func (a *Attacher) Recover(records []journal.Record) {
	var ending []record
	for _, one := range records {
		if one.Later {
			a.leave(one)
			continue
		}
		if one.Earlier {
			a.erase(one.Sandbox)
			continue
		}
		r, err := readRecord(one)
		switch {
		case err != nil:
			a.setAside(one.Sandbox, err)
		case r.Releasing || a.ended(&entry{sandbox: r.Sandbox}):
			ending = append(ending, r)
		default:
			a.adopt(r)
		}
	}
	// Those that were on their way out or have ended come last: a VF that is in two records, since a disk did not take a
	// change, belongs to the one that has it still.
	for _, r := range ending {
		a.adopt(r)
	}
	err := a.results.Retain(a.Known)
	if a.hugepages != nil {
		err = errors.Join(err, a.hugepages.Retain(a.Known))
	}
	if err != nil {
		a.log.WithError(err).Warn("traces of sandboxes that nobody knows stay")
	}
	a.clean()
}

func (a *Attacher) adopt(r record) {
	sandbox := r.Sandbox.ID
	e := &entry{sandbox: r.Sandbox, phase: recovering}
	for _, one := range r.Attachments {
		if !one.Freed && !a.pool.Adopt(sandbox, one.Address, one.owned()) {
			a.logOf(e.sandbox, one).Warn("VF of a journaled attachment is gone, or another's")
			e.lost = true
			if one.Freed = true; one.Delegate == nil {
				continue
			}
		}
		e.attachments = append(e.attachments, one)
	}
	a.mutex.Lock()
	a.entries[sandbox] = e
	a.mutex.Unlock()
	a.followEnd(e) // first, so that an end is either seen now or told later
	if r.Releasing || a.ended(e) {
		a.Release(sandbox)
	}
}

// randomMAC is a locally administered unicast address.
func randomMAC() vf.MAC {
	var mac vf.MAC
	if _, err := rand.Read(mac[:]); err != nil {
		panic("no random numbers: " + err.Error())
	}
	mac[0] = mac[0]&^1 | 2
	return mac
}

func (a *Attacher) known() []string {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	var ids []string
	for id := range a.entries {
		ids = append(ids, id)
	}
	return ids
}

func (a *Attacher) reconcile(id string, live Live, found bool) {
	a.mutex.Lock()
	e, ok := a.entries[id]
	if !ok || e.phase == releasing || e.phase == later {
		a.mutex.Unlock()
		return
	}
	ended := a.ended(e)
	if found {
		if e.phase != attaching { // or else its wants may be an answer that is in use
			e.wants, e.isolate = live.Wants, live.Isolate
		}
		if live.Ask != nil || !live.Refused { // who is refused for now keeps the question that he had
			e.ask = live.Ask
		}
		e.absentSince, e.listed, e.admitted = time.Time{}, true, true
		if e.phase == recovering && !ended {
			a.resume(e)
		}
	} else if e.absentSince.IsZero() {
		e.absentSince = time.Now()
	}
	a.mutex.Unlock()
	if ended {
		a.Release(id)
	}
}

// resume finishes what a killed daemon began, or sees that nothing is missing. The caller holds the mutex.
func (a *Attacher) resume(e *entry) {
	ns, err := a.podNamespace(e)
	if err != nil {
		return // the sweep looks again
	}
	e.ns = ns
	for i := range e.attachments {
		e.attachments[i].resumed = true
	}
	a.start(e, func(ctx context.Context, e *entry) error {
		if e.lost {
			e.lost = false
			return fmt.Errorf("a VF that the pod had: %w", ErrGone)
		}
		ctx, cancel := a.limit(ctx, e)
		defer cancel()
		return a.bring(ctx, e, a.haveNow)
	})
}

// haveNow asks the PF what it has set for a VF.
func (a *Attacher) haveNow(pf vf.PF, one Attachment) (vf.Settings, error) {
	if !one.setByPF() {
		return one.Settings, nil
	}
	settings, err := a.settings(pf)
	if err != nil {
		return vf.Settings{}, err
	}
	have, known := settings[one.VFID]
	if !known {
		return vf.Settings{}, fmt.Errorf("PF %s does not report VF %d", pf.Name(), one.VFID)
	}
	if one.Settings.MAC.IsZero() {
		have.MAC = vf.MAC{} // nobody set an admin MAC; some adapters report the VF's own address as one
	}
	return have, nil
}

// CollectLeases has the IPAM plugins of networks drop what no sandbox of ours has. It returns at once.
func (a *Attacher) CollectLeases(networks []Want) {
	a.lives.Go(func() {
		for _, network := range networks {
			valid := map[string][]Attachment{}
			for _, pod := range a.Pods() {
				valid[pod.Sandbox.ID] = pod.Attachments
			}
			if err := a.address.CollectLeases(a.ctx, network, valid); err != nil && a.ctx.Err() == nil {
				a.log.WithField("network", network.Network).WithError(err).Warn("the IPAM plugin did not drop what nobody has")
			}
		}
	})
}
