package attach

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// ErrGone says that the VF itself is no more: its PF was unplugged or its VFs were removed.
var ErrGone = errors.New("the device is gone")

// Netdev attaches VFs, and whole PFs, as network interfaces.
type Netdev struct {
	Host *vf.Host
}

// Rest reads how the interfaces of a VF lie in the host, by port, and whether one is marked as one that a pod has had and
// that was not cleaned. vf.ErrNoInterface says that it is not there.
func (n Netdev) Rest(address vf.PCIAddress) (resting []Resting, marked bool, err error) {
	links, err := n.home(address)
	if err != nil {
		return nil, false, err
	}
	for _, link := range links {
		one, is := restingOf(link)
		resting, marked = append(resting, one), marked || is
	}
	return resting, marked, nil
}

// Attach brings the VF into the namespace as the attachment says, and fills in what the pod sees. The VF may already
// be there, or half there, as a daemon left it that was killed on the way; have are the PF's settings for it as they are
// now. After an error the VF may be anywhere on the way: the caller releases it.
func (n Netdev) Attach(ctx context.Context, a *Attachment, pf vf.PF, have vf.Settings, ns *vf.Namespace) error {
	home, err := n.home(a.Address)
	if err != nil && !errors.Is(err, vf.ErrNoInterface) {
		return err
	}
	var away []vf.Interface
	if len(home) < len(a.Ports) {
		if away, err = ns.InterfacesOf(a.Address); err != nil && !errors.Is(err, vf.ErrNoInterface) {
			return err
		}
		if len(away) == len(a.Ports) && a.State == Attached {
			return nil // the pod's own by now: whatever it has done to it stays
		}
	}
	if err := n.prepare(ctx, a, pf, have, home); err != nil {
		return err
	}
	for i := range a.Ports {
		port := &a.Ports[i]
		if link, ok := portOf(home, *port); ok {
			err = n.move(ctx, a, *port, link, ns)
		} else if link, ok := portOf(away, *port); ok {
			err = n.finish(ctx, a, *port, link, ns)
		} else {
			err = fmt.Errorf("%s of %s: %w", port.Resting.Interface, a.Address, vf.ErrNoInterface)
		}
		if err == nil {
			err = n.readBack(a, port, i == 0, ns)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Found reads which VFs lie in a namespace by the marks on their interfaces. A mark on what is no PCI function says
// nothing: a pod can write one.
func (n Netdev) Found(ns *vf.Namespace) (map[vf.PCIAddress][]Port, error) {
	links, err := ns.Interfaces()
	if err != nil {
		return nil, err
	}
	found := map[vf.PCIAddress][]Port{}
	for _, link := range links {
		resting, marked := restingOf(link)
		if marked && !link.Parent.IsZero() {
			found[link.Parent] = append(found[link.Parent], Port{Interface: link.Name, Resting: resting, MAC: link.MAC, MTU: link.MTU})
		}
	}
	return found, nil
}

// portOf finds the interface of a port: by its mark, by its name, or because there is only one.
func portOf(links []vf.Interface, port Port) (vf.Interface, bool) {
	for _, link := range links {
		resting, marked := restingOf(link)
		if resting.Interface == port.Resting.Interface || (!marked && link.Name == port.Interface) {
			return link, true
		}
	}
	if len(links) == 1 {
		return links[0], true
	}
	return vf.Interface{}, false
}

// prepare is what is done in the host: the VF's own address, then what the PF decides. The VF's own address comes first
// because igbvf takes none once there is an admin MAC; where the driver refuses it, it takes the admin MAC over by
// itself, and is given the time for that.
func (n Netdev) prepare(ctx context.Context, a *Attachment, pf vf.PF, have vf.Settings, home []vf.Interface) error {
	if err := n.checkMTU(a, pf); err != nil {
		return err
	}
	var refused error
	mac := a.Settings.MAC
	if len(home) > 0 && !mac.IsZero() && home[0].MAC != mac {
		refused = n.Host.Change(ctx, home[0].Index, vf.LinkChange{MAC: mac})
	}
	if a.Whole {
		return refused
	}
	if err := n.Host.Apply(ctx, pf, a.VFID, have, a.Settings); err != nil {
		return err
	}
	if refused != nil {
		if err := n.awaitMAC(ctx, a); err != nil {
			return errors.Join(err, refused)
		}
	}
	return nil
}

func (n Netdev) checkMTU(a *Attachment, pf vf.PF) error {
	if a.MTU == 0 || a.Whole {
		return nil
	}
	limit, err := n.Host.MTU(pf.Address, pf.Interface)
	if err != nil {
		return fmt.Errorf("read the MTU of %s: %w", pf.Name(), err)
	}
	if a.MTU > limit {
		return fmt.Errorf("the network has MTU %d, its PF %s only %d: raise the PF's MTU", a.MTU, pf.Name(), limit)
	}
	return nil
}

// move is the way in, everything in one message. Names and modes that the interface brought along would be the pod's
// trouble: an alternative name that the pod has already refuses the move.
func (n Netdev) move(ctx context.Context, a *Attachment, port Port, link vf.Interface, ns *vf.Namespace) error {
	if len(link.AltNames) > 0 {
		if err := n.Host.SetAltNames(ctx, link, nil); err != nil {
			return err
		}
	}
	mark := port.Resting.mark()
	change := vf.LinkChange{Into: ns, Name: port.Interface, MTU: a.MTU, Alias: &mark, Up: true, Quiet: true}
	err := n.Host.Change(ctx, link.Index, change)
	switch {
	case errors.Is(err, vf.ErrNameTaken):
		return fmt.Errorf("the pod already has an interface %q: choose another name in the annotation: %w", port.Interface, err)
	case err != nil:
		return fmt.Errorf("move %s into the pod as %s: %w", link.Name, port.Interface, err)
	}
	return nil
}

// finish is the rest of the way for an interface that a killed daemon left in the pod.
func (n Netdev) finish(ctx context.Context, a *Attachment, port Port, link vf.Interface, ns *vf.Namespace) error {
	mark := port.Resting.mark()
	change := vf.LinkChange{MTU: a.MTU, Alias: &mark, Up: true}
	if link.Name != port.Interface {
		change.Name = port.Interface
	}
	if err := ns.Change(ctx, link.Index, change); err != nil {
		return fmt.Errorf("finish %s in the pod: %w", port.Interface, err)
	}
	return nil
}

// awaitMAC waits until the driver has taken the admin MAC over.
func (n Netdev) awaitMAC(ctx context.Context, a *Attachment) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return poll(ctx, func() error {
		links, err := n.home(a.Address)
		if err == nil && links[0].MAC != a.Settings.MAC {
			err = fmt.Errorf("the driver %s keeps MAC address %s, wanted is %s", a.Driver, links[0].MAC, a.Settings.MAC)
		}
		return err
	})
}

// readBack looks at what the pod sees. Address and MAC are those of the first port.
func (n Netdev) readBack(a *Attachment, port *Port, first bool, ns *vf.Namespace) error {
	link, err := ns.Interface(port.Interface)
	if err != nil {
		return fmt.Errorf("read back %s in the pod: %w", port.Interface, err)
	}
	var wrong []string
	if !link.Parent.IsZero() && link.Parent != a.Address {
		wrong = append(wrong, fmt.Sprintf("it is %s, not %s", link.Parent, a.Address))
	}
	if !link.Up {
		wrong = append(wrong, "it is down")
	}
	if mac := a.Settings.MAC; first && !mac.IsZero() && link.MAC != mac {
		wrong = append(wrong, fmt.Sprintf("its MAC address is %s, not %s", link.MAC, mac))
	}
	if a.MTU != 0 && link.MTU != a.MTU {
		wrong = append(wrong, fmt.Sprintf("its MTU is %d, not %d", link.MTU, a.MTU))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("read back %s in the pod: %s", port.Interface, strings.Join(wrong, ", "))
	}
	port.MAC, port.MTU, port.index = link.MAC, link.MTU, link.Index
	return nil
}

// home finds the VF's interfaces in the host, by port. A name that is gone by the time it is looked up may have been
// changed (udev does that right after a driver has made the interface), so the names are read again once.
func (n Netdev) home(address vf.PCIAddress) ([]vf.Interface, error) {
	for again := true; ; again = false {
		names, err := n.Host.Interfaces(address)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", address, ErrGone)
		}
		if err != nil {
			return nil, err
		}
		var links []vf.Interface
		for _, name := range names {
			link, err := n.Host.Interface(name)
			if errors.Is(err, vf.ErrNoInterface) {
				continue // on its way
			}
			if err != nil {
				return nil, err
			}
			links = append(links, link)
		}
		switch {
		case len(links) < len(names) && again:
		case len(links) == 0:
			return nil, fmt.Errorf("%s in the host: %w", address, vf.ErrNoInterface)
		default:
			return slices.Clip(links), nil
		}
	}
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
