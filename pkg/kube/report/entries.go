package report

import (
	"cmp"
	"slices"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/kube/status"
)

const vhostNetNode = "/dev/vhost-net"

// entriesOf are the entries of network-status for what a sandbox has: one for each interface, and for each device that the
// pod drives itself.
func entriesOf(sandbox attach.Sandbox, attachments []attach.Attachment) []status.Entry {
	var entries []status.Entry
	for _, one := range attachments {
		for i, port := range one.Ports {
			entries = append(entries, entryOf(sandbox, one, port, i == 0))
		}
	}
	return entries
}

// entryOf is the entry of one interface; addresses are on the first, as in the CNI result.
func entryOf(sandbox attach.Sandbox, one attach.Attachment, port attach.Port, first bool) status.Entry {
	vhostNet, pf := "", one.PF.String()
	if one.VhostNet {
		vhostNet = vhostNetNode
	}
	if one.Whole {
		pf = ""
	}
	entry := status.Entry{
		Name: status.NameOf(one.Network), Interface: port.Interface, MTU: cmp.Or(port.MTU, one.MTU), Sandbox: sandbox.NetNS,
		DeviceInfo: status.NewDeviceInfo(one.Address.String(), pf, vhostNet), DNS: status.DNS(one.AllDNS()),
	}
	if mac := cmp.Or(port.MAC, one.Settings.MAC); !mac.IsZero() {
		entry.MAC = mac.String()
	}
	if !first {
		return entry
	}
	for _, address := range one.AllAddresses() {
		entry.IPs = append(entry.IPs, address.Prefix.Addr().String())
	}
	for _, route := range one.AllRoutes() {
		if gateway := route.Gateway; route.Destination.Bits() == 0 && gateway.IsValid() && !slices.Contains(entry.Gateway, gateway.String()) {
			entry.Gateway = append(entry.Gateway, gateway.String())
		}
	}
	entry.DefaultRoute = entry.Gateway
	return entry
}
