package attach

import (
	"fmt"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/sirupsen/logrus"
)

// clean brings to rest what nobody has: VFs that somebody had before, whose journal was lost, and those that are to rest
// in another driver than the one they are bound to. It starts the work and does not wait for it. The VFs of a PF that cannot
// be read are in quarantine until it can: one adapter must not keep the daemon from serving the others.
func (a *Attacher) clean() {
	for _, provider := range a.pool.Providers() {
		a.cleanPF(provider)
		if provider.Reason != "" || len(provider.VFs) == 0 {
			continue
		}
		reported := a.reportedOrNothing(provider.PF)
		for _, one := range provider.VFs {
			if one.State != inventory.Free {
				continue
			}
			a.cleanOne(provider.PF, *one, reported(one.ID)) // what is clean is free already
		}
	}
}

// reportedOrNothing is reported, and nothing of any VF where that fails.
func (a *Attacher) reportedOrNothing(pf vf.PF) func(id int) *vf.Settings {
	reported, err := a.reported(pf)
	if err != nil {
		a.log.WithField("pf", pf.Name()).WithError(err).Error("what a PF has set for its VFs cannot be read; they are not offered until it can")
	}
	return reported
}

// cleanPF brings a PF back that a pod drove itself, and of which no record is left.
func (a *Attacher) cleanPF(provider inventory.Provider) {
	whole := provider.Whole
	if whole == nil || whole.Sandbox != "" || native(whole.Driver) {
		return
	}
	home, _, err := a.device.Rest(whole.Address)
	if err != nil || len(home) == 0 {
		return // it is not ours
	}
	a.bringToRest(Attachment{
		Address: whole.Address, PF: whole.Address, PFName: provider.PF.Name(), VFID: -1, Whole: true, Device: config.DeviceVFIO,
		Home: home, Ports: []Port{{}},
	}, "was found bound to "+whole.Driver, logrus.WarnLevel)
}

// reported reads what a PF has set for its VFs. A PF that reports others and leaves one out says nothing of it, and the
// answer is nil: its driver does so while the VF is in reset, for one. A PF that reports none cannot be asked.
func (a *Attacher) reported(pf vf.PF) (func(id int) *vf.Settings, error) {
	var settings map[int]vf.Settings
	if pf.Interface != "" {
		var err error
		if settings, err = a.settings(pf); err != nil {
			return func(int) *vf.Settings { return nil }, err
		}
	}
	return func(id int) *vf.Settings {
		have, known := settings[id]
		switch {
		case known:
			return &have
		case len(settings) > 0:
			return nil
		}
		have = vf.DefaultSettings()
		return &have
	}, nil
}

// cleanOne looks at a VF that nobody has, and answers whether it may be offered as it is; if not, it is brought to rest. Its
// settings are nil where the PF does not tell them.
func (a *Attacher) cleanOne(pf vf.PF, one inventory.VF, settings *vf.Settings) (clean bool) {
	resting, marked, err := a.device.Rest(one.Address)
	if err != nil {
		a.log.WithField("pci", one.Address.String()).WithError(err).Warn("VF cannot be looked at")
		return true // an attach looks again
	}
	attachment := Attachment{
		Address: one.Address, PF: pf.Address, PFName: pf.Name(), VFID: one.ID, Driver: one.Driver, NUMANode: one.NUMANode,
		Device: config.DeviceNetdev, VFToken: one.VFToken,
	}
	have := vf.DefaultSettings()
	if settings != nil {
		have = *settings
	}
	for _, each := range resting {
		if have.MAC == each.MAC {
			have.MAC = vf.MAC{} // the VF's own address, which some adapters report as the admin MAC
		}
		attachment.Ports = append(attachment.Ports, Port{Interface: each.Interface, Resting: each})
	}
	atRest := one.Driver == one.Rest || one.Rest == "" && native(one.Driver)
	clean = settings != nil && !marked && len(have.Differences(vf.DefaultSettings())) == 0
	if atRest && clean {
		return true
	}
	if one.Rest != "" || !native(one.Driver) {
		attachment.Device, attachment.Home, attachment.Ports = config.DeviceVFIO, resting, []Port{{}}
	}
	reason := fmt.Sprintf("was found unclean: %s", have)
	switch {
	case !atRest && one.Rest != "":
		reason = "is being bound to " + one.Rest
	case !atRest:
		reason = "is being given back to its network driver"
	case marked && dpdk.IsStandIn(one.Driver):
		reason = "was found in use"
	case settings == nil:
		reason = fmt.Sprintf("is not reported by its PF %s, which may have settings of an earlier pod for it", pf.Name())
	}
	level := logrus.WarnLevel
	if one.Rest != "" && native(one.Driver) && clean {
		level = logrus.InfoLevel // as the config wants it, after each boot
	}
	a.bringToRest(attachment, reason, level)
	return false
}

// Changed takes note of what a reading of the node has shown: VFs that vanished under their pods are reported, and those
// that nobody has looked at yet are brought to rest or offered.
func (a *Attacher) Changed(changes inventory.Changes) {
	for _, one := range changes.Vanished {
		a.log.WithFields(logrus.Fields{"sandbox": one.Sandbox, "pci": one.VF.Address.String(), "pf": one.PFName, "vf": one.VF.ID}).
			Error("a pod has lost its VF: it " + one.Reason)
		a.note(one.Sandbox, one.VF.Address, one.Reason)
	}
	read := map[vf.PCIAddress]func(id int) *vf.Settings{} // once for each PF, however many VFs it has got
	for _, address := range changes.Unseen {
		pf, one, ok := a.pool.Find(address)
		if !ok {
			continue
		}
		reported, known := read[pf.Address]
		if !known {
			reported = a.reportedOrNothing(pf)
			read[pf.Address] = reported
		}
		if a.cleanOne(pf, one, reported(one.ID)) {
			a.pool.Free("", address)
		}
	}
}

// note has an attachment say what is the matter with it.
func (a *Attacher) note(sandbox string, address vf.PCIAddress, text string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	e, ok := a.entries[sandbox]
	if !ok {
		return
	}
	for i := range e.attachments {
		if e.attachments[i].Address == address {
			e.attachments[i].Error = text
			a.observer.lost(e.sandbox, e.attachments[i])
		}
	}
}

// bringToRest releases a function that nobody has.
func (a *Attacher) bringToRest(one Attachment, reason string, level logrus.Level) {
	if !a.pool.Reclaim(one.Address, reason) {
		return
	}
	one.State = Releasing
	a.log.WithFields(logrus.Fields{"pci": one.Address.String(), "pf": one.PFName, "vf": one.VFID, "driver": one.Driver}).
		Log(level, "bringing to rest what nobody has: it "+reason)
	e := &entry{phase: releasing, attachments: []Attachment{one}}
	a.lives.Go(func() { a.bringBack(e, nil) })
}
