package attach

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// ErrGone says that the VF itself is no more: its PF was unplugged or its VFs were removed.
var ErrGone = errors.New("the VF is gone")

// Netdev attaches VFs as network interfaces.
type Netdev struct {
	Host *vf.Host
}

// Rest reads how a VF lies in the host, and whether it is marked as one that a pod has had and that was not cleaned.
// vf.ErrNoInterface says that it is not there.
func (n Netdev) Rest(address vf.PCIAddress) (resting Resting, marked bool, err error) {
	link, err := n.home(address)
	if err != nil {
		return Resting{}, false, err
	}
	resting, marked = restingOf(link)
	return resting, marked, nil
}

// Attach brings the VF into the namespace as the attachment says, and fills in what the pod sees. The VF may already
// be there, as a daemon left it that was killed on the way; have are the PF's settings for it as they are now. After
// an error the VF may be anywhere on the way: the caller releases it.
func (n Netdev) Attach(ctx context.Context, a *Attachment, pf vf.PF, have vf.Settings, ns *vf.Namespace) error {
	link, err := n.home(a.Address)
	switch {
	case err == nil:
		err = n.move(ctx, a, pf, have, link, ns)
	case errors.Is(err, vf.ErrNoInterface):
		if link, err = ns.InterfaceOf(a.Address); err == nil {
			if a.State == Attached {
				return nil // the pod's own by now: whatever it has done to it stays
			}
			err = n.finish(ctx, a, pf, have, link, ns)
		}
	}
	if err != nil {
		return err
	}
	if link, err = ns.Interface(a.Interface); err != nil {
		return fmt.Errorf("read back %s in the pod: %w", a.Interface, err)
	}
	if err := expect(a, link); err != nil {
		return err
	}
	a.MAC, a.EffectiveMTU = link.MAC, link.MTU
	for _, address := range a.Addresses {
		if err := ns.AddAddress(ctx, link.Index, address.Prefix); err != nil {
			return fmt.Errorf("%s: %w", a.Interface, err)
		}
	}
	for _, route := range a.Routes {
		if err := ns.AddRoute(ctx, link.Index, route.Destination, route.Gateway); err != nil {
			return fmt.Errorf("%s: %w", a.Interface, err)
		}
	}
	return nil
}

// move is the way in: the VF's own address, what the PF decides, then everything else in one message. The VF's own
// address comes first because igbvf takes none once there is an admin MAC; where the driver refuses it, it takes the
// admin MAC over by itself, and is given the time for that.
func (n Netdev) move(ctx context.Context, a *Attachment, pf vf.PF, have vf.Settings, link vf.Interface, ns *vf.Namespace) error {
	var refused error
	if mac := a.Settings.MAC; !mac.IsZero() && link.MAC != mac {
		refused = n.Host.Change(ctx, link.Index, vf.LinkChange{MAC: mac})
	}
	if err := n.Host.Apply(ctx, pf, a.VFID, have, a.Settings); err != nil {
		return err
	}
	if refused != nil {
		if err := n.awaitMAC(ctx, a); err != nil {
			return errors.Join(err, refused)
		}
	}
	mark := a.Resting.mark()
	err := n.Host.Change(ctx, link.Index, vf.LinkChange{Into: ns, Name: a.Interface, MTU: a.MTU, Alias: &mark, Up: true})
	switch {
	case errors.Is(err, vf.ErrNameTaken):
		return fmt.Errorf("the pod already has an interface %q: choose another name in the annotation: %w", a.Interface, err)
	case err != nil:
		return fmt.Errorf("move %s into the pod as %s: %w", link.Name, a.Interface, err)
	}
	return nil
}

// finish is the rest of the way for a VF that a killed daemon left in the pod.
func (n Netdev) finish(ctx context.Context, a *Attachment, pf vf.PF, have vf.Settings, link vf.Interface, ns *vf.Namespace) error {
	if err := n.Host.Apply(ctx, pf, a.VFID, have, a.Settings); err != nil {
		return err
	}
	if link.Up && link.Name == a.Interface {
		return nil
	}
	change := vf.LinkChange{MTU: a.MTU, Up: true}
	if link.Name != a.Interface {
		change.Name = a.Interface
	}
	if err := ns.Change(ctx, link.Index, change); err != nil {
		return fmt.Errorf("finish %s in the pod: %w", a.Interface, err)
	}
	return nil
}

// awaitMAC waits until the driver has taken the admin MAC over.
func (n Netdev) awaitMAC(ctx context.Context, a *Attachment) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return poll(ctx, func() error {
		link, err := n.home(a.Address)
		if err == nil && link.MAC != a.Settings.MAC {
			err = fmt.Errorf("the driver %s keeps MAC address %s, wanted is %s", a.Driver, link.MAC, a.Settings.MAC)
		}
		return err
	})
}

func expect(a *Attachment, link vf.Interface) error {
	var wrong []string
	if !link.Parent.IsZero() && link.Parent != a.Address {
		wrong = append(wrong, fmt.Sprintf("it is %s, not %s", link.Parent, a.Address))
	}
	if !link.Up {
		wrong = append(wrong, "it is down")
	}
	if mac := a.Settings.MAC; !mac.IsZero() && link.MAC != mac {
		wrong = append(wrong, fmt.Sprintf("its MAC address is %s, not %s", link.MAC, mac))
	}
	if a.MTU != 0 && link.MTU != a.MTU {
		wrong = append(wrong, fmt.Sprintf("its MTU is %d, not %d", link.MTU, a.MTU))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("read back %s in the pod: %s", a.Interface, strings.Join(wrong, ", "))
	}
	return nil
}

// Release brings the VF back from wherever it is and makes it clean; nil says that it was read back as clean. ns is
// the pod's namespace where that is still open, else nil.
func (n Netdev) Release(ctx context.Context, a Attachment, pf vf.PF, ns *vf.Namespace) error {
	if ns != nil {
		if err := n.fetch(ctx, a, ns); err != nil {
			return err
		}
	}
	link, err := n.await(ctx, a.Address)
	if err != nil {
		return err
	}
	change := vf.LinkChange{Down: link.Up}
	if link.Name != a.Resting.Interface {
		change.Name = a.Resting.Interface
	}
	if change != (vf.LinkChange{}) {
		if err := n.lower(ctx, link, change); err != nil {
			return fmt.Errorf("bring %s home: %w", a.Address, err)
		}
	}
	have, err := n.have(pf, a)
	if err != nil {
		return err
	}
	if !a.Settings.MAC.IsZero() {
		have.MAC = a.Settings.MAC // the admin MAC is ours to take back, even when the VF would have that address by itself
	}
	resetErr := n.Host.Reset(ctx, pf, a.VFID, have)
	// The VF's own address after the admin MAC: some drivers refuse it before.
	change = vf.LinkChange{}
	if link.MAC != a.Resting.MAC {
		change.MAC = a.Resting.MAC
	}
	if link.MTU != a.Resting.MTU {
		change.MTU = a.Resting.MTU
	}
	var changeErr error
	if change != (vf.LinkChange{}) {
		changeErr = n.Host.Change(ctx, link.Index, change)
	}
	if unclean := n.Unclean(a, pf); unclean != nil {
		return errors.Join(unclean, resetErr, changeErr)
	}
	// The mark goes last: until then it says that the VF is not clean.
	if link.Alias != a.Resting.Alias {
		return n.Host.Change(ctx, link.Index, vf.LinkChange{Alias: &a.Resting.Alias})
	}
	return nil
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
	if have.MAC == a.Resting.MAC {
		have.MAC = vf.MAC{}
	}
	return have, nil
}

// fetch moves the VF out of the pod. It not being there is fine: the kernel has sent it home, or it never arrived.
func (n Netdev) fetch(ctx context.Context, a Attachment, ns *vf.Namespace) error {
	link, err := ns.InterfaceOf(a.Address)
	if errors.Is(err, vf.ErrNoInterface) {
		return nil
	}
	if err != nil {
		return err
	}
	change := vf.LinkChange{Into: n.Host.Namespace(), Name: a.Resting.Interface, Down: true}
	err = ns.Change(ctx, link.Index, change)
	if errors.Is(err, vf.ErrNameTaken) || errors.Is(err, vf.ErrNoInterface) {
		// Either it moved and could not be renamed, or its name in the pod is taken in the host too.
		link, err = ns.InterfaceOf(a.Address)
		if errors.Is(err, vf.ErrNoInterface) {
			return nil
		}
		if err == nil {
			err = ns.Change(ctx, link.Index, vf.LinkChange{Into: n.Host.Namespace(), Name: spareName(a.Address), Down: true})
		}
	}
	if err != nil {
		return fmt.Errorf("move %s out of the pod: %w", link.Name, err)
	}
	return nil
}

// lower lowers and renames a VF in the host. When its own name is taken by something else it gets a name made of its
// PCI address, so that the next owner's name is not in the way either.
func (n Netdev) lower(ctx context.Context, link vf.Interface, change vf.LinkChange) error {
	if link.Up && change.Name != "" {
		if err := n.Host.Change(ctx, link.Index, vf.LinkChange{Down: true}); err != nil {
			return err
		}
	}
	return n.Host.Change(ctx, link.Index, change)
}

// spareName is a name of at most 15 bytes that no other device has.
func spareName(address vf.PCIAddress) string {
	return fmt.Sprintf("v%04x%02x%02x%d", address.Domain&0xffffff, address.Bus, address.Device, address.Function)
}

// await waits for the VF to be in the host: the kernel sends it back some time after its namespace has ended.
func (n Netdev) await(ctx context.Context, address vf.PCIAddress) (vf.Interface, error) {
	var link vf.Interface
	err := poll(ctx, func() (err error) {
		link, err = n.home(address)
		return err
	})
	if err != nil {
		return vf.Interface{}, fmt.Errorf("wait for %s to come home: %w", address, err)
	}
	return link, nil
}

// Unclean says in what a VF in the host differs from one that nobody has had.
func (n Netdev) Unclean(a Attachment, pf vf.PF) error {
	link, err := n.home(a.Address)
	if err != nil {
		return err
	}
	have, err := n.have(pf, a)
	if err != nil {
		return err
	}
	var wrong []string
	if names := have.Differences(vf.DefaultSettings()); len(names) > 0 {
		wrong = append(wrong, fmt.Sprintf("%s not at the default in %s", strings.Join(names, ", "), have))
	}
	if link.Name != a.Resting.Interface {
		wrong = append(wrong, fmt.Sprintf("name %s, not %s", link.Name, a.Resting.Interface))
	}
	if link.MAC != a.Resting.MAC {
		wrong = append(wrong, fmt.Sprintf("MAC address %s, not %s", link.MAC, a.Resting.MAC))
	}
	if link.MTU != a.Resting.MTU {
		wrong = append(wrong, fmt.Sprintf("MTU %d, not %d", link.MTU, a.Resting.MTU))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("not clean: %s", strings.Join(wrong, "; "))
	}
	return nil
}

// home finds the VF's interface in the host.
func (n Netdev) home(address vf.PCIAddress) (vf.Interface, error) {
	names, err := n.Host.Interfaces(address)
	if errors.Is(err, fs.ErrNotExist) {
		return vf.Interface{}, fmt.Errorf("%s: %w", address, ErrGone)
	}
	if err != nil {
		return vf.Interface{}, err
	}
	if len(names) == 0 {
		return vf.Interface{}, fmt.Errorf("%s in the host: %w", address, vf.ErrNoInterface)
	}
	return n.Host.Interface(names[0])
}

// poll asks again, more and more rarely, until the answer is nil, the VF is gone, or ctx ends; it gives the last answer.
func poll(ctx context.Context, ask func() error) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := ask()
		if err == nil || errors.Is(err, ErrGone) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}
