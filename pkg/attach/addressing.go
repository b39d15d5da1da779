package attach

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/cni"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// The bounds of what is done about addresses.
const (
	// addressTime is for an IPAM plugin to give addresses, unaddressTime to take them back.
	addressTime, unaddressTime = 10 * time.Second, 10 * time.Second
	// carrierTime is how long the announcement waits for the link.
	carrierTime = 10 * time.Second
)

// Addressing gives attachments their addresses: those that the pod or the network names, and those of an IPAM plugin.
type Addressing struct {
	IPAM *cni.IPAM
}

// Address asks the IPAM plugin, where the network has one, and puts addresses and routes on the first port. A plugin that
// may have been asked for the same attachment before is first told to take back what it gave then.
func (g Addressing) Address(ctx context.Context, sandbox Sandbox, a *Attachment, ns *vf.Namespace) error {
	if a.Delegate != nil {
		ctx, cancel := context.WithTimeout(ctx, addressTime)
		defer cancel()
		call := a.call(sandbox)
		if a.resumed {
			if err := g.IPAM.Delete(ctx, call); err != nil {
				return err
			}
		}
		lease, err := g.IPAM.Add(ctx, call)
		if errors.Is(err, cni.ErrNoPlugin) && !a.resumed {
			// It never ran, so that there is nothing to give back.
			a.Delegate = &Delegate{Config: a.Delegate.Config, IPs: a.Delegate.IPs}
		}
		if err != nil {
			return err
		}
		a.Lease = &lease
	}
	addresses, routes := a.AllAddresses(), a.AllRoutes()
	if len(addresses)+len(routes) == 0 {
		return nil
	}
	index := a.Ports[0].index
	for _, address := range addresses {
		if err := ns.AddAddress(ctx, index, address.Prefix); err != nil {
			return fmt.Errorf("%s: %w", a.Interface, err)
		}
	}
	for _, route := range routes {
		if err := ns.AddRoute(ctx, index, route.Destination, route.Gateway); err != nil {
			return fmt.Errorf("%s: %w", a.Interface, err)
		}
	}
	return nil
}

// Unaddress has the IPAM plugin take back what it may have given.
func (g Addressing) Unaddress(ctx context.Context, sandbox Sandbox, a Attachment) error {
	ctx, cancel := context.WithTimeout(ctx, unaddressTime)
	defer cancel()
	return g.IPAM.Delete(ctx, a.call(sandbox))
}

// CheckLease asks the IPAM plugin whether it still holds what it gave.
func (g Addressing) CheckLease(ctx context.Context, sandbox Sandbox, a Attachment) error {
	ctx, cancel := context.WithTimeout(ctx, addressTime)
	defer cancel()
	return g.IPAM.Check(ctx, a.call(sandbox), *a.Lease)
}

// CollectLeases has the IPAM plugin of a network drop what belongs to none of these attachments, by sandbox.
func (g Addressing) CollectLeases(ctx context.Context, network Want, valid map[string][]Attachment) error {
	ctx, cancel := context.WithTimeout(ctx, addressTime)
	defer cancel()
	var all []cni.ValidAttachment
	for sandbox, attachments := range valid {
		for _, one := range attachments {
			if one.Network == network.Network {
				all = append(all, cni.ValidAttachment{ContainerID: sandbox, IfName: one.Interface})
			}
		}
	}
	call := cni.Call{Network: leaseName(network.Network), CNIVersion: network.CNIVersion, Config: network.Delegate.Config}
	return g.IPAM.GC(ctx, call, all)
}

// leaseName is the name under which a plugin keeps a network's leases: one that no other CNI network has.
func leaseName(network string) string { return "nri-sriov-" + network }

// Announce tells the neighbours of the attachment's addresses as soon as the link is up, and once more a second later.
// It ends with ctx, and keeps the namespace no longer.
func (g Addressing) Announce(ctx context.Context, a Attachment, ns *vf.Namespace) error {
	var addresses []netip.Addr
	for _, one := range a.AllAddresses() {
		addresses = append(addresses, one.Prefix.Addr())
	}
	if len(addresses) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, carrierTime)
	defer cancel()
	link, err := ns.Carrier(ctx, a.Interface)
	if err != nil {
		return err
	}
	first := ns.Announce(link, addresses)
	select {
	case <-ctx.Done():
		return first
	case <-time.After(time.Second):
	}
	return errors.Join(first, ns.Announce(link, addresses))
}

// call is how an IPAM plugin is asked for the attachment.
func (a Attachment) call(sandbox Sandbox) cni.Call {
	call := cni.Call{
		Network: leaseName(a.Network), CNIVersion: a.CNIVersion, Config: a.Delegate.Config,
		ContainerID: sandbox.ID, NetNS: sandbox.NetNS, Interface: a.Interface,
		Namespace: sandbox.Namespace, Name: sandbox.Name, UID: sandbox.UID, InfraID: sandbox.ID,
	}
	call.IPs = a.Delegate.IPs
	if len(a.Ports) > 0 && !a.Ports[0].MAC.IsZero() {
		call.MAC = a.Ports[0].MAC.String()
	}
	return call
}

// AllAddresses are those that were given in any case, and those of the lease.
func (a Attachment) AllAddresses() []cni.Address {
	if a.Lease == nil {
		return a.Addresses
	}
	return append(slices.Clone(a.Addresses), a.Lease.Addresses...)
}

// AllRoutes is AllAddresses for routes.
func (a Attachment) AllRoutes() []cni.Route {
	if a.Lease == nil {
		return a.Routes
	}
	return append(slices.Clone(a.Routes), a.Lease.Routes...)
}

// AllDNS is what the network says, and what the lease says where the network is silent.
func (a Attachment) AllDNS() cni.DNS {
	if a.Lease != nil && len(a.DNS.Nameservers)+len(a.DNS.Search)+len(a.DNS.Options) == 0 && a.DNS.Domain == "" {
		return a.Lease.DNS
	}
	return a.DNS
}
