package attach

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// procDir is where processes are looked for that hold a device open.
const procDir = "/proc"

// attachUserspace binds a function to the driver through which the pod drives it, then has the PF set what is wanted of
// it: always with a MAC address, or the pod's driver would invent one. Killed anywhere it can be called again; have are
// the PF's settings as they are now.
func (d Devices) attachUserspace(ctx context.Context, a *Attachment, pf vf.PF, have vf.Settings) error {
	driver, err := d.driver(a.Address)
	if err != nil {
		return err
	}
	if a.State == Attached {
		if driver != a.Driver {
			return fmt.Errorf("%s was bound to %q by somebody else; the pod was given it bound to %s", a.Address, driver, a.Driver)
		}
		return nil // the pod's own by now: it may be at work
	}
	if err := errors.Join(d.fit(a, driver), d.checkPF(a, pf)); err != nil {
		return err
	}
	if native(driver) {
		// Before it is changed, so that it is known for ours whatever becomes of the journal.
		if err := d.Bound.put(*a); err != nil {
			return fmt.Errorf("nothing was changed: %w", err)
		}
	}
	if a.Whole && native(driver) {
		if err := d.Host.RemoveVFs(a.Address); err != nil {
			return err
		}
	}
	if err := d.DPDK.Bind(ctx, a.Address, a.Driver); err != nil {
		return err
	}
	if a.setByPF() {
		have.MAC = vf.MAC{} // some adapters report an address that nobody set
		if err := d.Host.Apply(ctx, pf, a.VFID, have, a.Settings); err != nil {
			return err
		}
	}
	return d.readBackUserspace(a, pf)
}

// fit says why a function may not be given to user space, nil when it may.
func (d Devices) fit(a *Attachment, driver string) error {
	switch driver {
	case "mlx5_core", "mlx4_core":
		if a.Rest == "" {
			return fmt.Errorf("DPDK drives %s through its network driver %s: use device: netdev with rdma: true, or say driver: vfio-pci of the provider "+
				"if it is not for DPDK", a.Address, driver)
		}
	}
	if err := d.DPDK.Resettable(a.Address); err != nil {
		return err
	}
	if dpdk.IsVFIO(a.Driver) {
		return d.DPDK.Isolated(a.Address, a.AllowNoIOMMU)
	}
	return nil
}

// checkPF says what the PF cannot do for the attachment.
func (d Devices) checkPF(a *Attachment, pf vf.PF) error {
	if a.bare() {
		want := vf.DefaultSettings()
		want.MAC = a.Settings.MAC
		if names := a.Settings.Differences(want); len(names) > 0 {
			return fmt.Errorf("the network sets %v, but its PF %s is driven by an application, which alone can set them", names, pf.Name())
		}
		return nil
	}
	return d.checkMTU(a, pf)
}

// readBackUserspace looks at what the pod gets: the nodes must be there by now.
func (d Devices) readBackUserspace(a *Attachment, pf vf.PF) error {
	given, err := NodesOf(d.DPDK, *a)
	if err != nil {
		return err
	}
	a.IOMMUGroup = given.IOMMUGroup
	port := &a.Ports[0]
	port.MAC, port.MTU = a.Settings.MAC, a.MTU
	if a.Whole && len(a.Home) > 0 {
		port.MAC = a.Home[0].MAC
	}
	if port.MTU != 0 {
		return nil
	}
	switch {
	case a.Whole && len(a.Home) > 0:
		port.MTU = a.Home[0].MTU
	case a.setByPF():
		// The kernel knows no MTU of it; the PF's is what the adapter lets through.
		if port.MTU, err = d.Host.MTU(pf.Address, pf.Interface); err != nil {
			return fmt.Errorf("read the MTU of %s: %w", pf.Name(), err)
		}
	}
	return nil
}

// Release is Netdev.Release for functions in whatever driver: nil says that the function was read back as clean, in the
// driver that it rests in. What a process holds open is left alone: unbinding it would block until the process ends.
func (d Devices) Release(ctx context.Context, a Attachment, pf vf.PF, ns *vf.Namespace) error {
	driver, err := d.driver(a.Address)
	if err != nil {
		return err
	}
	if a.Whole && a.NumVFs == 0 {
		before, err := d.Bound.read(a.Address)
		if err != nil {
			return err
		}
		a.NumVFs, a.VFNames = before.NumVFs, before.Names
	}
	if native(driver) && a.Rest == "" {
		return d.releaseHome(ctx, a, pf, ns)
	}
	if native(driver) {
		err = d.bringOut(ctx, a, ns)
	} else {
		err = d.DPDK.Unheld(ctx, procDir, a.Address)
	}
	if err == nil && a.Rest != "" {
		if native(driver) {
			err = d.Bound.put(a)
		}
		if err == nil {
			err = d.DPDK.Bind(ctx, a.Address, a.Rest)
		}
	}
	if err == nil {
		err = d.DPDK.Reset(ctx, a.Address)
	}
	if err == nil && a.setByPF() {
		err = d.reset(ctx, a, pf)
	}
	switch {
	case err != nil:
		return err
	case a.Rest != "":
		return d.uncleanAtRest(a, pf)
	}
	if err := d.DPDK.Restore(ctx, a.Address, ""); err != nil {
		return err
	}
	return d.releaseHome(ctx, a, pf, nil)
}

// bringOut fetches the interface of a function that is to rest in another driver, in which it has none.
func (d Devices) bringOut(ctx context.Context, a Attachment, ns *vf.Namespace) error {
	if err := d.releaseRDMA(ctx, a, ns); err != nil {
		return err
	}
	if ns != nil {
		if err := d.fetch(ctx, a, ns); err != nil {
			return err
		}
	}
	_, err := d.await(ctx, a)
	return err
}

// releaseHome is the end of a release for a function that rests in its network driver, and is there.
func (d Devices) releaseHome(ctx context.Context, a Attachment, pf vf.PF, ns *vf.Namespace) error {
	if err := d.releaseRDMA(ctx, a, ns); err != nil {
		return err
	}
	if a.Ports[0].Resting.Interface == "" {
		ports, err := d.homePorts(ctx, a)
		if err != nil {
			return err
		}
		a.Ports = ports
	}
	if a.Whole && pf.Interface == "" {
		pf.Interface = a.Ports[0].Resting.Interface
	}
	if err := d.Netdev.Release(ctx, a, pf, ns); err != nil {
		return err
	}
	if a.Whole && a.NumVFs > 0 {
		if err := d.restoreVFs(ctx, a, pf); err != nil {
			return err
		}
	}
	return d.Bound.remove(a.Address)
}

// homePorts are the ports of a function that has just come back to its network driver: as they were, else as they are.
func (d Devices) homePorts(ctx context.Context, a Attachment) ([]Port, error) {
	var ports []Port
	for _, resting := range a.Home {
		ports = append(ports, Port{Interface: a.Ports[0].Interface, Resting: resting})
	}
	if len(ports) > 0 {
		return ports, nil
	}
	if _, err := d.await(ctx, a); err != nil {
		return nil, err
	}
	home, _, err := d.Netdev.Rest(a.Address)
	for _, resting := range home {
		ports = append(ports, Port{Interface: a.Ports[0].Interface, Resting: resting})
	}
	return ports, err
}

// uncleanAtRest says in what a VF that rests in a driver of the admin's choice differs from one that nobody has had.
func (d Devices) uncleanAtRest(a Attachment, pf vf.PF) error {
	driver, err := d.driver(a.Address)
	switch {
	case err != nil:
		return err
	case driver != a.Rest:
		return fmt.Errorf("not clean: bound to %q, not to %s", driver, a.Rest)
	case !a.setByPF():
		return nil
	}
	for _, home := range a.Home {
		a.Ports = append(a.Ports, Port{Resting: home})
	}
	return d.uncleanSettings(a, pf)
}

// newVFToken makes a random UUID, version 4 of RFC 9562.
func newVFToken() string {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic("no random numbers: " + err.Error())
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
