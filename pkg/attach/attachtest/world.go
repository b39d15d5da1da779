// Package attachtest is a node without a kernel, for tests of what stands above it.
package attachtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/cni"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// World is an attach.Device: it knows where each VF is and what its PF has set for it.
type World struct {
	mutex      sync.Mutex
	vfs        map[vf.PCIAddress]*device
	attachErr  map[string]error
	releaseErr map[string]error
	hold       chan struct{}
	leases     map[string]bool
	leaseErr   error
}

type device struct {
	where    string // "" is the host
	settings vf.Settings
	name     string
}

const (
	// HostName is the name of every VF in the host, RestMAC the address of every VF.
	HostName = "enp1s0v0"
	RestMAC  = "02:00:00:00:00:01"
)

func (w *World) Rest(address vf.PCIAddress) ([]attach.Resting, bool, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	one, ok := w.vfs[address]
	if !ok {
		return nil, false, attach.ErrGone
	}
	if one.where != "" {
		return nil, false, vf.ErrNoInterface
	}
	mac, err := vf.ParseMAC(RestMAC)
	return []attach.Resting{{Interface: one.name, MAC: mac, MTU: 1500}}, false, err
}

func (w *World) Attach(ctx context.Context, a *attach.Attachment, _ vf.PF, have vf.Settings, _ *vf.Namespace) error {
	w.mutex.Lock()
	hold := w.hold
	w.mutex.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	one, ok := w.vfs[a.Address]
	if !ok {
		return attach.ErrGone
	}
	if one.where != "" && a.State == attach.Attached {
		return nil
	}
	if one.settings != have {
		return fmt.Errorf("the caller believes %s, it is %s", have, one.settings)
	}
	one.settings = a.Settings
	if err := w.attachErr[a.Interface]; err != nil {
		return err
	}
	one.where, one.name = "pod", a.Interface
	a.Ports[0].MAC, a.Ports[0].MTU = a.Ports[0].Resting.MAC, 1500
	if a.Device == config.DeviceVFIO {
		a.Ports[0].MAC = a.Settings.MAC
	}
	return nil
}

func (w *World) Release(_ context.Context, a attach.Attachment, pf vf.PF, _ *vf.Namespace) error {
	w.mutex.Lock()
	one, ok := w.vfs[a.Address]
	if !ok {
		w.mutex.Unlock()
		return attach.ErrGone
	}
	if err := w.releaseErr[a.Interface]; err != nil {
		w.mutex.Unlock()
		return err
	}
	one.where, one.name, one.settings = "", cmp.Or(a.Ports[0].Resting.Interface, HostName), vf.DefaultSettings()
	w.mutex.Unlock()
	return w.unclean(a, pf)
}

func (w *World) unclean(a attach.Attachment, _ vf.PF) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if one := w.vfs[a.Address]; one.where != "" || one.settings != vf.DefaultSettings() || one.name != cmp.Or(a.Ports[0].Resting.Interface, HostName) {
		return fmt.Errorf("not clean: %+v", one)
	}
	return nil
}

func (w *World) SettingsOf(pf vf.PF) (map[int]vf.Settings, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	settings := map[int]vf.Settings{}
	for address, one := range w.vfs {
		if address.Bus == pf.Address.Bus {
			settings[idOf(address)] = one.settings
		}
	}
	return settings, nil
}

// String draws the VFs that are not at rest, one a line.
func (w *World) String() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	var lines []string
	for address, one := range w.vfs {
		if one.where != "" || one.settings != vf.DefaultSettings() {
			lines = append(lines, fmt.Sprintf("%s %s in %q vlan %d", address, one.name, one.where, one.settings.VLAN.ID))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// NewWorld has pfs PFs with vfs VFs each, 128 at most.
func NewWorld(pfs, vfs int) *World {
	w := &World{vfs: map[vf.PCIAddress]*device{}, attachErr: map[string]error{}, releaseErr: map[string]error{}, leases: map[string]bool{}}
	for pf := range pfs {
		for id := range vfs {
			w.vfs[VFAddress(pf, id)] = &device{settings: vf.DefaultSettings(), name: HostName}
		}
	}
	return w
}

// VFAddress is the address of a VF of the world.
func VFAddress(pf, id int) vf.PCIAddress {
	return vf.PCIAddress{Bus: uint8(pf + 1), Device: uint8(0x10 + id/8), Function: uint8(id % 8)}
}

func idOf(address vf.PCIAddress) int { return 8*int(address.Device-0x10) + int(address.Function) }

// Found finds the VFs of a pod; the world has one pod only.
func (w *World) Found(*vf.Namespace) (map[vf.PCIAddress][]attach.Port, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	mac, err := vf.ParseMAC(RestMAC)
	found := map[vf.PCIAddress][]attach.Port{}
	for address, one := range w.vfs {
		if one.where != "" {
			found[address] = []attach.Port{{Interface: one.name, Resting: attach.Resting{Interface: HostName, MAC: mac, MTU: 1500}, MAC: mac, MTU: 1500}}
		}
	}
	return found, err
}

// Drift finds VFs that are not in their pod, or whose settings are others.
func (w *World) Drift(a attach.Attachment, _ vf.PF, _ *vf.Namespace) ([]string, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if one := w.vfs[a.Address]; one == nil || one.where == "" || one.settings != a.Settings {
		return []string{fmt.Sprintf("drifted: %+v", one)}, nil
	}
	return nil, nil
}

// Address notes a lease for attachments of networks with an IPAM plugin; it fails as FailLease says.
func (w *World) Address(_ context.Context, sandbox attach.Sandbox, a *attach.Attachment, _ *vf.Namespace) error {
	if a.Delegate == nil {
		return nil
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.leases[sandbox.ID+"/"+a.Interface] = true
	a.Lease = &cni.Lease{}
	return w.leaseErr
}

// Unaddress takes the lease back.
func (w *World) Unaddress(_ context.Context, sandbox attach.Sandbox, a attach.Attachment) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.leaseErr != nil {
		return w.leaseErr
	}
	delete(w.leases, sandbox.ID+"/"+a.Interface)
	return nil
}

// CheckLease says whether the lease is there.
func (w *World) CheckLease(_ context.Context, sandbox attach.Sandbox, a attach.Attachment) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if !w.leases[sandbox.ID+"/"+a.Interface] {
		return errors.New("no such lease")
	}
	return nil
}

// CollectLeases drops the leases of others.
func (w *World) CollectLeases(_ context.Context, network attach.Want, valid map[string][]attach.Attachment) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	kept := map[string]bool{}
	for sandbox, attachments := range valid {
		for _, one := range attachments {
			if key := sandbox + "/" + one.Interface; one.Network == network.Network && w.leases[key] {
				kept[key] = true
			}
		}
	}
	w.leases = kept
	return nil
}

// Announce does nothing.
func (w *World) Announce(context.Context, attach.Attachment, *vf.Namespace) error { return nil }

// FailLease makes the IPAM plugin fail, until err is nil.
func (w *World) FailLease(err error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.leaseErr = err
}

// Leases counts what the IPAM plugin holds.
func (w *World) Leases() int {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return len(w.leases)
}

// FailAttach and FailRelease let a step fail for the VF with an interface name, until err is nil.
func (w *World) FailAttach(name string, err error) { w.set(w.attachErr, name, err) }

// FailRelease is the same for the way back.
func (w *World) FailRelease(name string, err error) { w.set(w.releaseErr, name, err) }

func (w *World) set(in map[string]error, name string, err error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	in[name] = err
}

// Hold stops attaching until the answer is called.
func (w *World) Hold() (release func()) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	hold := make(chan struct{})
	w.hold = hold
	return sync.OnceFunc(func() { close(hold) })
}

// Remove takes a VF out of the world.
func (w *World) Remove(address vf.PCIAddress) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	delete(w.vfs, address)
}

// SetVLAN sets the VLAN of a VF behind everybody's back.
func (w *World) SetVLAN(address vf.PCIAddress, id uint16) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.vfs[address].settings.VLAN.ID = id
}

// Providers describes the world's PFs, pf0, pf1, …, with all VFs free.
func (w *World) Providers() []*inventory.Provider {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	byBus := map[uint8]*inventory.Provider{}
	var providers []*inventory.Provider
	addresses := slices.SortedFunc(maps.Keys(w.vfs), vf.PCIAddress.Compare)
	for _, address := range addresses {
		p, ok := byBus[address.Bus]
		if !ok {
			p = &inventory.Provider{PF: vf.PF{Address: vf.PCIAddress{Bus: address.Bus}, Interface: fmt.Sprintf("pf%d", address.Bus-1)}}
			byBus[address.Bus] = p
			providers = append(providers, p)
		}
		one := vf.VF{
			Address: address, PF: p.PF.Address, ID: idOf(address), Interfaces: []string{HostName}, Driver: "igbvf",
			NUMANode: -1, IOMMUGroup: -1,
		}
		p.VFs = append(p.VFs, &inventory.VF{VF: one, State: inventory.Free})
		p.PF.NumVFs++
	}
	return providers
}

// Reread describes one PF anew.
func (w *World) Reread(pf vf.PCIAddress) (*inventory.Provider, error) {
	for _, one := range w.Providers() {
		if one.PF.Address == pf {
			return one, nil
		}
	}
	return nil, attach.ErrGone
}
