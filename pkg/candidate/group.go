package candidate

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/placement"
	"github.com/nri-sriov/nri-sriov/pkg/request"
)

// groupOf is one entry of an annotation.
func groupOf(one request.Granted, place int) placement.Group {
	network, count := one.Network, len(one.Interfaces)
	group := placement.Group{
		Suffix:    cmp.Or(one.Name, strconv.Itoa(place)),
		Resources: map[string]int{inventory.ClassVF: count},
		Required: placement.RequiredStrings(
			slices.Concat(network.Required, one.Required), slices.Concat(network.Forbidden, one.Forbidden), network.AnyOf),
	}
	if network.WholePF {
		group.Resources = map[string]int{inventory.ClassPF: count}
	}
	if rate := cmp.Or(network.Settings.MinTxRate, network.Settings.MaxTxRate); rate > 0 {
		group.Resources[inventory.ClassEgress] = 1000 * int(rate) * count // Mbit/s
	}
	device := inventory.TraitNetdev
	if network.Device == config.DeviceVFIO {
		device = inventory.TraitVFIO
	}
	group.Required = append(group.Required, device)
	return group
}
