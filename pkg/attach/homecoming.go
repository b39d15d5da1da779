package attach

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Release brings the VF back from wherever it is and makes it clean; nil says that it was read back as clean. ns is
// the pod's namespace where that is still open, else nil.
func (n Netdev) Release(ctx context.Context, a Attachment, pf vf.PF, ns *vf.Namespace) error {
	if ns != nil {
		if err := n.fetch(ctx, a, ns); err != nil {
			return err
		}
	}
	links, err := n.await(ctx, a)
	if err != nil {
		return err
	}
	for i, port := range a.Ports {
		link, ok := portOf(links, port)
		if !ok {
			return fmt.Errorf("bring %s home: no interface of it is %s", a.Address, port.Resting.Interface)
		}
		if err := n.lower(ctx, a, i, link); err != nil {
			return fmt.Errorf("bring %s home: %w", a.Address, err)
		}
	}
	resetErr := n.reset(ctx, a, pf)
	// The VF's own address after the admin MAC: some drivers refuse it before.
	for _, port := range a.Ports {
		resetErr = errors.Join(resetErr, n.settle(ctx, a, port))
	}
	if unclean := n.unclean(a, pf); unclean != nil {
		return errors.Join(unclean, resetErr)
	}
	for _, port := range a.Ports {
		if err := n.rest(ctx, a, port); err != nil {
			return err
		}
	}
	return nil
}

// fetch moves the VF out of the pod. It not being there is fine: the kernel has sent it home, or it never arrived.
func (n Netdev) fetch(ctx context.Context, a Attachment, ns *vf.Namespace) error {
	links, err := ns.InterfacesOf(a.Address)
	if errors.Is(err, vf.ErrNoInterface) {
		return nil
	}
	if err != nil {
		return err
	}
	for i, link := range links {
		// The name is one that we wrote down, never one that only the mark says: a pod may have written the mark.
		name := spareName(a.Address, i)
		for _, port := range a.Ports {
			if resting, _ := restingOf(link); len(a.Ports) == 1 || resting.Interface == port.Resting.Interface {
				name = port.Resting.Interface
			}
		}
		if err := n.fetchOne(ctx, a, link, name, spareName(a.Address, i), ns); err != nil {
			return fmt.Errorf("move %s out of the pod: %w", printable(link.Name), err)
		}
	}
	return nil
}

// fetchOne moves one interface home under its name there, or, where that or its name in the pod is taken in the host,
// under a spare one.
func (n Netdev) fetchOne(ctx context.Context, a Attachment, link vf.Interface, name, spare string, ns *vf.Namespace) error {
	change := vf.LinkChange{Into: n.Host.Namespace(), Name: name, Down: true, Quiet: true}
	if err := ns.SetAltNames(ctx, link, nil); err != nil {
		return err
	}
	err := ns.Change(ctx, link.Index, change)
	if !errors.Is(err, vf.ErrNameTaken) && !errors.Is(err, vf.ErrNoInterface) {
		return err
	}
	links, err := ns.InterfacesOf(a.Address)
	if errors.Is(err, vf.ErrNoInterface) {
		return nil // it moved, and could not be renamed
	}
	if err != nil || !slices.ContainsFunc(links, func(one vf.Interface) bool { return one.Index == link.Index }) {
		return err
	}
	change.Name = spare
	return ns.Change(ctx, link.Index, change)
}

// spareName is a name of at most 15 bytes that no other device has.
func spareName(address vf.PCIAddress, port int) string {
	return fmt.Sprintf("v%04x%02x%02x%dp%d", address.Domain&0xffff, address.Bus, address.Device, address.Function, port)
}

// homeTime is how long one try of a release waits for a VF that the kernel is to send home. It is short, because the other
// VFs of the PF wait meanwhile; the release is tried again.
const homeTime = 2 * time.Second

// await waits for all interfaces to be in the host: the kernel sends them back some time after the namespace has ended.
func (n Netdev) await(ctx context.Context, a Attachment) (links []vf.Interface, err error) {
	ctx, cancel := context.WithTimeout(ctx, homeTime)
	defer cancel()
	err = poll(ctx, func() (err error) {
		links, err = n.home(a.Address)
		if err == nil && len(links) < len(a.Ports) {
			err = fmt.Errorf("%d of %d interfaces: %w", len(links), len(a.Ports), vf.ErrNoInterface)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("wait for %s to come home: %w", a.Address, err)
	}
	return links, nil
}

// lower lowers an interface in the host, gives it its name back, and takes from it what the pod has put on it.
func (n Netdev) lower(ctx context.Context, a Attachment, index int, link vf.Interface) error {
	port := a.Ports[index]
	if link.Up || link.Promiscuous || link.AllMulticast {
		if err := n.Host.Change(ctx, link.Index, vf.LinkChange{Down: true, Quiet: true}); err != nil {
			return err
		}
	}
	if err := n.Host.SetAltNames(ctx, link, nil); err != nil {
		return err
	}
	if link.Name == port.Resting.Interface {
		return nil
	}
	err := n.Host.Change(ctx, link.Index, vf.LinkChange{Name: port.Resting.Interface})
	if spare := spareName(a.Address, index); errors.Is(err, vf.ErrNameTaken) && link.Name != spare {
		// Until its own name is free it waits under one that is in nobody's way; the pod's name may be the next one's.
		err = errors.Join(err, n.Host.Change(ctx, link.Index, vf.LinkChange{Name: spare}))
	}
	if err != nil {
		return fmt.Errorf("rename %s to %s: %w", printable(link.Name), port.Resting.Interface, err)
	}
	return nil
}

// reset takes back what the PF had set.
func (n Netdev) reset(ctx context.Context, a Attachment, pf vf.PF) error {
	if a.Whole {
		return nil
	}
	have, err := n.have(pf, a)
	if err != nil {
		return err
	}
	if !a.Settings.MAC.IsZero() {
		have.MAC = a.Settings.MAC // ours to take back, even when the VF would have that address by itself
	}
	return n.Host.Reset(ctx, pf, a.VFID, have)
}

// settle gives an interface its own address and MTU back. The PF has just forgotten an admin MAC; when the interface has its
// own address already, from a release that was cut short, it is changed there and back, since the kernel does not tell
// the driver of an address that stays, and the PF would not know it until the interface is raised.
func (n Netdev) settle(ctx context.Context, a Attachment, port Port) error {
	link, err := n.Host.Interface(port.Resting.Interface)
	if err != nil {
		return err
	}
	if link.MAC == port.Resting.MAC && !a.Whole && !a.Settings.MAC.IsZero() {
		if err := n.Host.Change(ctx, link.Index, vf.LinkChange{MAC: randomMAC()}); err != nil {
			return err
		}
		link.MAC = vf.MAC{}
	}
	change := vf.LinkChange{}
	if link.MAC != port.Resting.MAC {
		change.MAC = port.Resting.MAC
	}
	if link.MTU != port.Resting.MTU {
		change.MTU = port.Resting.MTU
	}
	if change.IsZero() {
		return nil
	}
	return n.Host.Change(ctx, link.Index, change)
}

// rest is the end of a release that found the VF clean. The mark goes last: until then it says that the VF is not.
func (n Netdev) rest(ctx context.Context, a Attachment, port Port) error {
	link, err := n.Host.Interface(port.Resting.Interface)
	if err != nil {
		return err
	}
	if !a.Whole {
		if err := n.Host.IgnoreRouters(link.Name); err != nil {
			return err
		}
	}
	if err := n.Host.SetAltNames(ctx, link, port.Resting.AltNames); err != nil {
		return err
	}
	change := vf.LinkChange{Up: a.Whole && port.Resting.Up && !link.Up}
	if link.Alias != port.Resting.Alias {
		change.Alias = &port.Resting.Alias
	}
	if change.IsZero() {
		return nil
	}
	return n.Host.Change(ctx, link.Index, change)
}

// have reads what the PF has set for a VF. An adapter may report the VF's own address as its admin MAC (igb does); that
// is no setting.
func (n Netdev) have(pf vf.PF, a Attachment) (vf.Settings, error) {
	settings, err := n.Host.Settings(pf)
	if err != nil {
		return vf.Settings{}, err
	}
	have, known := settings[a.VFID]
	if !known {
		return vf.Settings{}, fmt.Errorf("PF %s does not report VF %d", pf.Name(), a.VFID)
	}
	for _, port := range a.Ports {
		if have.MAC == port.Resting.MAC {
			have.MAC = vf.MAC{}
		}
	}
	return have, nil
}

// unclean says in what a VF in the host differs from one that nobody has had.
func (n Netdev) unclean(a Attachment, pf vf.PF) error {
	var wrong []string
	if !a.Whole {
		if err := n.uncleanSettings(a, pf); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	links, err := n.home(a.Address)
	if err != nil {
		return err
	}
	for _, port := range a.Ports {
		link, ok := portOf(links, port)
		if !ok {
			wrong = append(wrong, "no interface "+port.Resting.Interface)
			continue
		}
		wrong = append(wrong, uncleanPort(link, port.Resting)...)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("not clean: %s", strings.Join(wrong, "; "))
	}
	return nil
}

// uncleanSettings says which settings of the PF are not at their defaults.
func (n Netdev) uncleanSettings(a Attachment, pf vf.PF) error {
	have, err := n.have(pf, a)
	if err != nil {
		return err
	}
	if names := have.Differences(vf.DefaultSettings()); len(names) > 0 {
		return fmt.Errorf("%s not at the default in %s", strings.Join(names, ", "), have)
	}
	return nil
}

func uncleanPort(link vf.Interface, resting Resting) []string {
	var wrong []string
	if link.Name != resting.Interface {
		wrong = append(wrong, fmt.Sprintf("name %s, not %s", printable(link.Name), resting.Interface))
	}
	if link.MAC != resting.MAC {
		wrong = append(wrong, fmt.Sprintf("MAC address %s, not %s", link.MAC, resting.MAC))
	}
	if link.MTU != resting.MTU {
		wrong = append(wrong, fmt.Sprintf("MTU %d, not %d", link.MTU, resting.MTU))
	}
	if link.Promiscuous || link.AllMulticast {
		wrong = append(wrong, "promiscuous or taking every multicast")
	}
	return wrong
}
