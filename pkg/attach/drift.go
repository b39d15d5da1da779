package attach

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Drift says in what an attachment differs from what the pod was given: what CNI's CHECK asks. Nothing is no difference.
// What a pod may change of its own interface (addresses, MTU, going down) is no drift.
func (n Netdev) Drift(a Attachment, pf vf.PF, ns *vf.Namespace) ([]string, error) {
	var drift []string
	if !a.Whole {
		var err error
		if drift, err = n.settingsDrift(a, pf); err != nil {
			return nil, err
		}
	}
	links, err := ns.InterfacesOf(a.Address)
	if errors.Is(err, vf.ErrNoInterface) {
		return append(drift, n.whereabouts(a)), nil
	}
	if err != nil {
		return nil, err
	}
	for _, port := range a.Ports {
		at := slices.IndexFunc(links, func(link vf.Interface) bool {
			resting, marked := restingOf(link)
			return link.Name == port.Interface || (marked && resting.Interface == port.Resting.Interface)
		})
		switch {
		case at < 0:
			drift = append(drift, fmt.Sprintf("gone: no interface %s in the pod", port.Interface))
		case links[at].Name != port.Interface:
			drift = append(drift, fmt.Sprintf("renamed: %s is called %s", port.Interface, printable(links[at].Name)))
		case links[at].MAC != port.MAC:
			drift = append(drift, fmt.Sprintf("MAC address of %s: %s, given was %s", port.Interface, links[at].MAC, port.MAC))
		}
	}
	return drift, nil
}

// settingsDrift compares what the PF has set.
func (n Netdev) settingsDrift(a Attachment, pf vf.PF) ([]string, error) {
	settings, err := n.Host.Settings(pf)
	if err != nil {
		return nil, err
	}
	have, known := settings[a.VFID]
	if a.Settings.MAC.IsZero() {
		have.MAC = a.Settings.MAC // some adapters report the VF's own address as the admin MAC
	}
	if !known {
		return []string{fmt.Sprintf("gone: PF %s has no VF %d", pf.Name(), a.VFID)}, nil
	}
	if names := have.Differences(a.Settings); len(names) > 0 {
		return []string{fmt.Sprintf("changed on the PF: %v: it is %s, set was %s", names, have, a.Settings)}, nil
	}
	return nil, nil
}

// whereabouts says where a VF is that is not in its pod.
func (n Netdev) whereabouts(a Attachment) string {
	links, err := n.home(a.Address)
	switch {
	case errors.Is(err, ErrGone):
		return "gone: " + err.Error()
	case err != nil:
		return "wrong namespace: it is neither in the pod nor in the host"
	}
	return fmt.Sprintf("wrong namespace: it is in the host, as %s", printable(links[0].Name))
}

// Drifted is an attachment that is not as it was given.
type Drifted struct {
	Sandbox    Sandbox
	Attachment Attachment
	// Differences are texts; an attachment that could not be looked at has one that says why.
	Differences []string
}

// Drift compares every attachment with the kernel. It waits for the PFs' answers; it is not for a hook.
func (a *Attacher) Drift() []Drifted {
	var all []Drifted
	for _, pod := range a.Pods() {
		for _, one := range pod.Attachments {
			if one.State != Attached || a.ctx.Err() != nil {
				continue
			}
			differences, err := a.driftOf(pod.Sandbox, one)
			if err != nil {
				differences = []string{"cannot be looked at: " + err.Error()}
			}
			if len(differences) > 0 {
				all = append(all, Drifted{Sandbox: pod.Sandbox, Attachment: one, Differences: differences})
			}
		}
	}
	return all
}

func (a *Attacher) driftOf(sandbox Sandbox, one Attachment) ([]string, error) {
	pf, _, ok := a.pool.Find(one.Address)
	if !ok {
		return []string{"gone: the node has no such device"}, nil
	}
	var ns *vf.Namespace
	var err error
	if one.Device != config.DeviceVFIO {
		ns, err = a.open(sandbox.NetNS)
	}
	if errors.Is(err, vf.ErrNoNamespace) {
		return []string{"the pod's network namespace has ended"}, nil
	}
	if err != nil {
		return nil, err
	}
	defer closeNamespace(ns)
	differences, err := a.device.Drift(one, pf, ns)
	if one.Lease != nil {
		if lost := a.address.CheckLease(a.ctx, sandbox, one); lost != nil {
			differences = append(differences, "lease: "+lost.Error())
		}
	}
	return differences, err
}
