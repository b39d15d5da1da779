package inventory

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Offer is one function as a device that is counted for a network.
type Offer struct {
	Address, PF vf.PCIAddress
	// NUMANode is -1 when the firmware does not tell.
	NUMANode int
	// Taken tells that a pod of this very resource has it, or was given it.
	Taken bool
	// Reason says why nobody can have it for this network; empty when it is free, and when it is Taken as it should be.
	Reason string
}

// speedTrait begins the traits that a PF has only while it has a link.
const speedTrait = "CUSTOM_SPEED_"

// GroupOf is one function of a network, as claims know it.
func GroupOf(network *config.Network) Group {
	return Group{
		Name: network.Name, Count: 1, Whole: network.WholePF, Userspace: network.Device == config.DeviceVFIO,
		Egress:   1000 * int(cmp.Or(network.Settings.MinTxRate, network.Settings.MaxTxRate)),
		Required: network.Required, Forbidden: network.Forbidden, AnyOf: network.AnyOf,
	}
}

// Offers lists the functions that fit a group of one, by address, each with what is to be said of it to who counts them
// for the group's resource. A PF without link fits still where a speed is required, so that its VFs are known to be unfit
// for now. What the config does not offer is not listed.
func (p *Pool) Offers(group Group) []Offer {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	var offers []Offer
	for _, provider := range p.providers {
		if provider.suits(withoutSpeed(group)) != "" {
			continue
		}
		if group.Whole {
			if provider.Whole != nil {
				offers = append(offers, p.offer(provider, provider.Whole, group))
			}
			continue
		}
		var vfs []Offer
		for _, one := range provider.VFs {
			if !one.unoffered {
				vfs = append(vfs, p.offer(provider, one, group))
			}
		}
		provider.bound(vfs, group)
		offers = append(offers, vfs...)
	}
	slices.SortFunc(offers, func(a, b Offer) int { return a.Address.Compare(b.Address) })
	return offers
}

func (p *Pool) offer(provider *Provider, one *VF, group Group) Offer {
	o := Offer{Address: one.Address, PF: provider.PF.Address, NUMANode: one.NUMANode}
	o.Taken = one.hadAs(group.Resource)
	o.Reason = p.unfit(provider, one, group, o.Taken)
	return o
}

// hadAs tells whether a function counts as taken by the resource itself.
func (one *VF) hadAs(resource string) bool {
	switch {
	case one.idle(), one.taken() && one.via == unknownWay:
		return one.firstOf(resource)
	}
	return one.taken() && one.via == resource
}

func (p *Pool) unfit(provider *Provider, one *VF, group Group, mine bool) string {
	reason := provider.suits(group)
	switch {
	case one.gone:
		return cmp.Or(one.Reason, "is gone")
	case reason != "":
		return "its PF " + reason
	case mine:
		if one.State == Releasing {
			return one.Reason // nothing, while all goes well
		}
		return ""
	case one.State != Free:
		return cmp.Or(one.Reason, "is in use by another network's name, or by an annotation alone")
	case group.Whole:
		return provider.unfitWhole()
	case provider.Reason != "":
		return "its PF " + provider.Reason
	case provider.givenOut():
		return "its PF is in use as a whole"
	case !p.untied(one, "", group.Userspace):
		return "is tied to VFs in use by its IOMMU group"
	}
	return ""
}

// bound takes back so many of a provider's offers as it keeps back for others, or has no bandwidth for.
func (p *Provider) bound(offers []Offer, group Group) {
	free, promised := 0, 0 // what pods have has drawn its bandwidth already, what they were promised has not
	for _, one := range offers {
		if !one.Taken && one.Reason == "" {
			free++
		}
	}
	for _, one := range p.VFs {
		if one.idle() && one.firstOf(group.Resource) {
			promised++
		}
	}
	room, reason := p.stock.counts[Free]-p.Reserved, "is kept back by its provider's reserved"
	if p.Bandwidth.Egress > 0 && group.Egress > 0 {
		if fit := (p.Bandwidth.Egress-p.egress)/group.Egress - promised; fit < room {
			room, reason = fit, "its PF has no bandwidth left for it"
		}
	}
	for i := len(offers) - 1; i >= 0 && free > max(0, room); i-- {
		if !offers[i].Taken && offers[i].Reason == "" {
			offers[i].Reason = reason
			free--
		}
	}
}

// withoutSpeed is a group as it would be wanted of a PF that may have no link now.
func withoutSpeed(group Group) Group {
	isSpeed := func(trait string) bool { return strings.HasPrefix(trait, speedTrait) }
	group.Required = slices.DeleteFunc(slices.Clone(group.Required), isSpeed)
	group.AnyOf = slices.DeleteFunc(slices.Clone(group.AnyOf), func(set []string) bool { return slices.ContainsFunc(set, isSpeed) })
	return group
}
