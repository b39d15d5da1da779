package attach

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Devices attaches VFs and whole PFs, each as its network says: as a network interface, or bound to a driver through which
// the pod drives it itself. It brings each back to the driver that it rests in.
type Devices struct {
	Netdev
	DPDK  *dpdk.Host
	Bound *Bound
}

// Rest is Netdev.Rest for a function that its network driver has. For another it tells how its interfaces will rest when
// that driver has it again, as far as that was written down, and whether a process holds it.
func (d Devices) Rest(address vf.PCIAddress) (resting []Resting, marked bool, err error) {
	driver, err := d.driver(address)
	if err != nil {
		return nil, false, err
	}
	if native(driver) {
		return d.Netdev.Rest(address)
	}
	before, err := d.Bound.read(address)
	if err != nil {
		return nil, true, err
	}
	marked, err = d.DPDK.Busy(address)
	return before.Home, marked, err
}

// Attach is Netdev.Attach for a network interface; a function that rests in another driver is given to its network
// driver first. For the others see attachUserspace.
func (d Devices) Attach(ctx context.Context, a *Attachment, pf vf.PF, have vf.Settings, ns *vf.Namespace) error {
	if a.Device == config.DeviceVFIO {
		return d.attachUserspace(ctx, a, pf, have)
	}
	if a.Rest != "" && a.State != Attached {
		if err := d.wake(ctx, a, ns); err != nil {
			return err
		}
	}
	if err := d.Netdev.Attach(ctx, a, pf, have, ns); err != nil {
		return err
	}
	return d.attachRDMA(ctx, *a, ns)
}

// wake gives a function that rests elsewhere to its network driver, and finds its interfaces.
func (d Devices) wake(ctx context.Context, a *Attachment, ns *vf.Namespace) error {
	driver, err := d.driver(a.Address)
	if err != nil {
		return err
	}
	if !native(driver) {
		if err := d.DPDK.Unheld(ctx, procDir, a.Address); err != nil {
			return err
		}
		if err := d.DPDK.Restore(ctx, a.Address, ""); err != nil {
			return err
		}
	}
	if a.Driver, err = d.driver(a.Address); err != nil {
		return err
	}
	links, err := d.await(ctx, *a)
	if err != nil { // unless an earlier daemon has moved it
		if links, err = ns.InterfacesOf(a.Address); err != nil {
			return err
		}
	}
	a.Ports = nil
	for i, link := range links {
		resting, _ := restingOf(link)
		port, err := newPort(a.Interface, i, a.Address, resting)
		if err != nil {
			return err
		}
		a.Ports = append(a.Ports, port)
	}
	return nil
}

// Drift is Netdev.Drift, and for a function that the pod drives itself whether it is bound and set as it was given.
func (d Devices) Drift(a Attachment, pf vf.PF, ns *vf.Namespace) ([]string, error) {
	if a.Device != config.DeviceVFIO {
		return d.Netdev.Drift(a, pf, ns)
	}
	driver, err := d.driver(a.Address)
	if errors.Is(err, ErrGone) {
		return []string{"gone: " + err.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	var drift []string
	if driver != a.Driver {
		drift = append(drift, fmt.Sprintf("driver: it is bound to %q, given was %s", driver, a.Driver))
	}
	if a.Whole || a.bare() {
		return drift, nil
	}
	settings, err := d.settingsDrift(a, pf)
	return append(drift, settings...), err
}

// driver is what a function is bound to; ErrGone says that it is no more.
func (d Devices) driver(address vf.PCIAddress) (string, error) {
	driver, err := d.DPDK.Driver(address)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s: %w", address, ErrGone)
	}
	return driver, err
}

// native tells whether a driver is one that makes network interfaces.
func native(driver string) bool { return driver != "" && !dpdk.IsStandIn(driver) }
