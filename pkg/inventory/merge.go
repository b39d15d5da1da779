package inventory

import (
	"cmp"
	"slices"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// What a VF's reason says.
const (
	unseenReason   = "is looked at before it is offered"
	replacedReason = "is gone: another device is at its address now"
)

// merge is one reading of the node on its way into the pool, which is locked.
type merge struct {
	*Pool
	Changes
	began time.Time
	// hold keeps VFs from being claimed that were not free before.
	hold bool
	// home tells that the PF was read when it had come home, though its sandbox has not let go of it yet.
	home bool
}

// taken tells whether somebody has it.
func (one *VF) taken() bool {
	return !one.held && !one.idle() && (one.State == Claimed || one.State == Attached || one.State == Releasing)
}

func (m *merge) settled(one *VF) bool { return one.changed.Before(m.began) }

// provider takes over a PF that is there. While somebody has the PF itself, or it was on its way from or to him, a reading
// says nothing about it, nor about what it means for its VFs; that VFs are no more is true all the same.
func (m *merge) provider(known, fresh *Provider) {
	away := known.givenOut() && !known.Whole.idle()
	if known.Whole != nil && !away && !m.settled(known.Whole) {
		away, m.Again = true, true
	}
	away = away && !m.home && !known.gone
	if away && m.settled(known.Whole) && known.Whole.replaced(fresh.PF.Instance) {
		known.Whole.Instance = fresh.PF.Instance
		m.tell(known.Whole, known.PF.Name(), replacedReason)
	}
	if !away {
		known.PF, known.Traits, known.Reason, known.Reserved = fresh.PF, fresh.Traits, fresh.Reason, fresh.Reserved
		known.Driver, known.AllowNoIOMMU, known.VFToken = fresh.Driver, fresh.AllowNoIOMMU, fresh.VFToken
		known.Bandwidth, known.gone = fresh.Bandwidth, false
		m.whole(known, fresh.Whole)
	}
	read := make(map[vf.PCIAddress]*VF, len(fresh.VFs))
	for _, one := range fresh.VFs {
		read[one.Address] = one
	}
	for _, one := range slices.Clone(known.VFs) {
		now, there := read[one.Address]
		switch {
		case !there:
			m.lose(one, known.PF.Name(), "is gone: its PF "+known.PF.Name()+" does not have it any more")
		case !away:
			m.vf(one, now, known.PF.Name())
		}
	}
	if !away {
		for _, one := range fresh.VFs {
			m.addVF(known, one)
		}
		slices.SortStableFunc(known.VFs, func(a, b *VF) int { return cmp.Compare(a.ID, b.ID) })
	}
	known.markDevices()
}

// vanish takes over that a PF is no more.
func (m *merge) vanish(known *Provider) {
	known.gone, known.Reason = true, "is gone"
	reason := "is gone: its PF " + known.PF.Name() + " is gone"
	for _, one := range slices.Clone(known.VFs) {
		m.lose(one, known.PF.Name(), reason)
	}
	if known.Whole != nil {
		m.lose(known.Whole, known.PF.Name(), "is gone: the device is no more")
	}
	m.dropEmpty(known)
}

// whole takes over the PF as something to be given out.
func (m *merge) whole(known *Provider, fresh *VF) {
	switch one := known.Whole; {
	case one == nil:
		if known.Whole = fresh; fresh != nil {
			fresh.provider, fresh.changed = nil, time.Now()
			m.promise(fresh)
		}
	case fresh == nil:
		m.lose(one, known.PF.Name(), "is gone: the PF is not offered any more")
	case one.taken():
		one.back(fresh)
		one.VF, one.AllowNoIOMMU = fresh.VF, fresh.AllowNoIOMMU
	default:
		m.take(one, fresh)
	}
}

// vf takes over a VF that is there.
func (m *merge) vf(one, fresh *VF, pf string) {
	switch {
	case one.taken():
		one.Rest, one.AllowNoIOMMU, one.VFToken = fresh.Rest, fresh.AllowNoIOMMU, fresh.VFToken
		one.back(fresh)
		one.barred, one.byPF, one.unoffered = fresh.barred, fresh.byPF, fresh.unoffered
		if m.settled(one) && one.replaced(fresh.Instance) {
			one.VF = fresh.VF
			m.tell(one, pf, replacedReason)
		}
	case m.settled(one):
		m.take(one, fresh)
	case one.differs(fresh):
		m.Again = true
	}
}

// differs tells that a reading sees a VF otherwise than it is known.
func (one *VF) differs(fresh *VF) bool {
	if one.idle() { // as good as free
		return fresh.State != Free || one.replaced(fresh.Instance)
	}
	return one.State != fresh.State || one.Reason != fresh.Reason || one.replaced(fresh.Instance)
}

// replaced tells that another device is at a VF's address.
func (one *VF) replaced(instance uint64) bool {
	return one.Instance != instance && one.Instance != 0 && instance != 0
}

// back takes over that a VF that was gone is there again. Its sandbox does not have it any more all the same.
func (one *VF) back(fresh *VF) {
	if one.gone {
		one.gone, one.barred, one.Reason, one.VF = false, "", replacedReason, fresh.VF
	}
}

// take makes what nobody has like what was read.
func (m *merge) take(one, fresh *VF) {
	unknown := one.State == Excluded || one.replaced(fresh.Instance)
	one.VF, one.Rest, one.AllowNoIOMMU, one.VFToken = fresh.VF, fresh.Rest, fresh.AllowNoIOMMU, fresh.VFToken
	one.barred, one.byPF, one.seen, one.unoffered = fresh.barred, fresh.byPF, fresh.seen, fresh.unoffered
	switch {
	case fresh.State == Excluded:
		if one.State != Excluded {
			one.become(Excluded)
		}
		one.Reason = fresh.Reason
	case one.held:
	case unknown && m.hold && one.ID >= 0:
		one.become(Releasing)
		m.holdBack(one)
	case one.State != Free && !one.idle():
		one.settle()
	}
}

func (m *merge) holdBack(one *VF) {
	one.held, one.Reason = true, unseenReason
	m.Unseen = append(m.Unseen, one.Address)
}

// add takes over a PF that is new.
func (m *merge) add(fresh *Provider) {
	vfs := fresh.VFs
	fresh.VFs = nil
	fresh.adopt()
	for _, one := range vfs {
		m.addVF(fresh, one)
	}
	if fresh.Whole != nil {
		fresh.Whole.changed = time.Now()
		m.promise(fresh.Whole)
	}
	fresh.markDevices()
	m.providers = append(m.providers, fresh)
	slices.SortStableFunc(m.providers, func(a, b *Provider) int { return a.PF.Address.Compare(b.PF.Address) })
}

// promise has a PF that is new wait for whom it is promised to.
func (m *merge) promise(whole *VF) {
	if whole.promises = m.promised[whole.Address]; whole.State == Free && len(whole.promises) > 0 {
		whole.settle()
	}
}

// addVF takes over a VF, if it is new. An address that another PF's VF has, which somebody has still, has to wait.
func (m *merge) addVF(known *Provider, fresh *VF) {
	if _, is := m.byAddress[fresh.Address]; is {
		return
	}
	state := fresh.State
	fresh.provider, fresh.State, fresh.promises = known, Excluded, m.promised[fresh.Address]
	m.byAddress[fresh.Address] = fresh
	known.VFs = append(known.VFs, fresh)
	known.stock.counts[Excluded]++
	switch {
	case state == Excluded:
		fresh.changed = time.Now()
	case m.hold:
		fresh.become(Releasing)
		m.holdBack(fresh)
	default:
		fresh.settle()
	}
}

// lose takes over that a VF is no more, or a PF as something to be given out.
func (m *merge) lose(one *VF, pf, reason string) {
	switch {
	case one.gone: // told before
	case !m.settled(one):
		m.Again = true
	case one.taken():
		one.gone, one.barred = true, reason
		m.tell(one, pf, reason)
	default:
		one.gone = true
		m.leave(one)
	}
}

// tell tells of a VF that its sandbox has lost.
func (m *merge) tell(one *VF, pf, reason string) {
	if one.Reason = reason; one.Sandbox != "" {
		m.Vanished = append(m.Vanished, Vanished{VF: one.VF, PFName: pf, Sandbox: one.Sandbox, Reason: reason})
	}
}

// leave lets go of a VF that nobody has, if it is gone.
func (p *Pool) leave(one *VF) {
	if !one.gone {
		return
	}
	delete(p.byAddress, one.Address)
	for _, provider := range slices.Clone(p.providers) {
		if provider.Whole == one {
			provider.Whole = nil
		}
		if at := slices.Index(provider.VFs, one); at >= 0 {
			one.become(Excluded) // and so out of the line
			provider.stock.counts[Excluded]--
			provider.VFs = slices.Delete(provider.VFs, at, at+1)
			one.provider = nil
		}
		p.dropEmpty(provider)
	}
}

// dropEmpty lets go of a PF that is gone and of which nobody has anything.
func (p *Pool) dropEmpty(provider *Provider) {
	if provider.gone && len(provider.VFs) == 0 && provider.Whole == nil {
		p.providers = slices.DeleteFunc(p.providers, func(one *Provider) bool { return one == provider })
	}
}
