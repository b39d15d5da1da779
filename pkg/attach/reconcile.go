package attach

import (
	"context"
	"fmt"
	"slices"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Live is a sandbox that the runtime knows, with what its pod asks for.
type Live struct {
	Sandbox Sandbox
	Wants   []Want
	Isolate bool
	// Ask is who knows what the sandbox is to have; nil where Wants say it.
	Ask Question
	// Refused tells that what it asks for cannot be had now: one that is not known is left alone.
	Refused bool
}

// Reconcile takes the runtime's list of sandboxes: what was cut short is finished, pods that started while the daemon
// was away are attached, sandboxes that are gone are released. It starts the work and does not wait for it. The
// refusals are of sandboxes that could not be attached late.
func (a *Attacher) Reconcile(live []Live) map[string]error {
	byID := map[string]Live{}
	for _, one := range live {
		byID[one.Sandbox.ID] = one
	}
	for _, id := range a.known() {
		one, found := byID[id]
		a.reconcile(id, one, found)
	}
	refused := map[string]error{}
	for _, one := range live {
		if one.Refused || len(one.Wants) == 0 && one.Ask == nil {
			continue
		}
		if err := a.attachLate(one); err != nil {
			refused[one.Sandbox.ID] = err
		}
	}
	return refused
}

// attachLate attaches a sandbox that the daemon has no record of: it started while the daemon was away, or its record was
// lost, and then its VFs are in it.
func (a *Attacher) attachLate(live Live) error {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if _, known := a.entries[live.Sandbox.ID]; known {
		return nil
	}
	e := &entry{sandbox: live.Sandbox, wants: live.Wants, isolate: live.Isolate, ask: live.Ask, listed: true, admitted: true}
	if err := a.checkQuota(e); err != nil {
		return err
	}
	ns, err := a.podNamespace(e)
	if err != nil {
		return err
	}
	a.identify(e, ns)
	e.ns = ns
	a.entries[live.Sandbox.ID] = e
	a.start(e, a.late)
	return nil
}

func (a *Attacher) late(ctx context.Context, e *entry) error {
	if err := a.answerLate(ctx, e); err != nil {
		return err
	}
	whole, err := a.readopt(e)
	switch {
	case err != nil:
		return err
	case whole:
		ctx, cancel := a.limit(ctx, e)
		defer cancel()
		return a.bring(ctx, e, a.haveNow)
	}
	a.counts.addLate()
	a.mutex.Lock()
	e.late = true
	a.mutex.Unlock()
	a.log.WithFields(sandboxFields(e.sandbox)).Warn("pod has started while the daemon was away; its VFs come late")
	if e.claim, err = a.pool.Claim(e.request()); err != nil {
		return err
	}
	return a.attach(ctx, e)
}

// readopt takes over the VFs that lie in a pod by their marks. It answers whether they are all that the pod asks for;
// some only is an error, after which they are released and the pod is served anew.
func (a *Attacher) readopt(e *entry) (whole bool, err error) {
	if e.ns == nil {
		return false, nil
	}
	found, err := a.device.Found(e.ns)
	if err != nil || len(found) == 0 {
		return false, err
	}
	var attachments []Attachment
	wanted := 0
	for _, want := range e.wants {
		wanted += len(want.Interfaces)
		for _, name := range want.Interfaces {
			for address, ports := range found {
				if ports[0].Interface != name || want.From != nil && !slices.Contains(want.From, address) || !a.pool.Adopt(e.sandbox.ID, address, want.group()) {
					continue
				}
				if one, ok := a.adopted(want, name, address, ports); ok {
					attachments = append(attachments, one)
				}
			}
		}
	}
	a.mutex.Lock()
	e.attachments = attachments
	a.mutex.Unlock()
	if len(attachments) > 0 && len(attachments) != wanted {
		return false, fmt.Errorf("the pod has %d of the %d VFs that it asks for, and no record says why", len(attachments), wanted)
	}
	return len(attachments) > 0, nil
}

func (a *Attacher) adopted(want Want, name string, address vf.PCIAddress, ports []Port) (Attachment, bool) {
	pf, known, ok := a.pool.Find(address)
	if !ok {
		return Attachment{}, false
	}
	one, err := newAttachment(want, name, pf, known, nil)
	one.Ports, one.State, one.resumed = ports, Attached, true
	return one, err == nil
}
