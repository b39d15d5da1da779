package kubelet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/kube/deviceplugin"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// offers are the VFs of a resource of ours, with the network that it counts.
func (k *Kubelet) offers(resource string) []inventory.Offer {
	k.mutex.Lock()
	network := k.networks[resource]
	k.mutex.Unlock()
	if network == nil {
		return nil
	}
	group := inventory.GroupOf(network)
	group.Resource = resource
	return k.pool.Offers(group)
}

// Devices are the VFs of a network; see deviceplugin.Source.
func (k *Kubelet) Devices(resource string) []deviceplugin.Device {
	ready := k.ready()
	var devices []deviceplugin.Device
	for _, one := range k.offers(resource) {
		devices = append(devices, deviceplugin.Device{
			ID: one.Address.String(), NUMANode: one.NUMANode, Healthy: one.Reason == "" && (ready || one.Taken),
		})
	}
	return devices
}

// Allocate promises VFs to a pod that the kubelet does not name. It takes ids that somebody else has, too: what two
// networks share may be given twice before the kubelet has heard of it, and a refusal here would end the pod for good,
// with nobody to keep the next one from the same end. Such a pod waits for its VF instead, with words, and it was counted.
func (k *Kubelet) Allocate(resource string, ids []string) (map[string]string, error) {
	offers := k.offers(resource)
	k.mutex.Lock()
	defer k.mutex.Unlock()
	addresses := make([]vf.PCIAddress, len(ids))
	for i, id := range ids {
		address, err := vf.ParsePCIAddress(id)
		if err != nil || !slices.ContainsFunc(offers, func(one inventory.Offer) bool { return one.Address == address }) {
			return nil, fmt.Errorf("nri-sriov: %s has no device %q: it is not among its %d VFs on this node any more", resource, id, len(offers))
		}
		addresses[i] = address
	}
	now := time.Now()
	for _, address := range addresses {
		k.ledger.give(address, resource, now)
		if first := k.ledger.holder(address, resource); first != "" {
			k.twice++
			k.log.WithField("pci", address.String()).WithField("resource", resource).Warn(
				"the kubelet gave a VF to a second pod, which has to wait: it was given to one with " + first + " before")
		}
	}
	k.pool.Promise(k.ledger.resources(), addresses...)
	sorted := slices.Sorted(slices.Values(ids))
	return map[string]string{config.GivenAnnotation + strings.TrimPrefix(resource, config.ResourcePrefix): strings.Join(sorted, ",")}, nil
}

// Prefer chooses VFs that nobody has, near to each other, and of different PFs, or with placement pack of one PF.
func (k *Kubelet) Prefer(resource string, available, must []string, size int) []string {
	k.mutex.Lock()
	pack := k.pack
	k.mutex.Unlock()
	return prefer(k.offers(resource), available, must, size, pack)
}

// choice is a choice of VFs on its way.
type choice struct {
	pack   bool
	size   int
	chosen []inventory.Offer
	left   []inventory.Offer
}

func prefer(offers []inventory.Offer, available, must []string, size int, pack bool) []string {
	c := choice{pack: pack, size: size}
	ids := []string{}
	for _, one := range offers {
		switch id := one.Address.String(); {
		case slices.Contains(must, id):
			c.chosen = append(c.chosen, one)
		case slices.Contains(available, id):
			c.left = append(c.left, one)
		}
	}
	for len(c.chosen) < size && len(c.left) > 0 {
		at := c.best()
		c.chosen = append(c.chosen, c.left[at])
		c.left = slices.Delete(c.left, at, at+1)
	}
	for _, one := range c.chosen {
		ids = append(ids, one.Address.String())
	}
	return ids
}

// best is the place of the VF that is to be chosen next. The first in line of equal ones is, so that the same question has
// the same answer.
func (c *choice) best() int {
	best := 0
	for i := range c.left {
		if c.compare(c.left[i], c.left[best]) < 0 {
			best = i
		}
	}
	return best
}

// compare puts the better one first: one that can be had, on a NUMA node of those that are chosen or, for the first, on the
// one where the most can be had, then by PF.
func (c *choice) compare(a, b inventory.Offer) int {
	return cmp.Or(number(!usable(a))-number(!usable(b)), c.far(a)-c.far(b), c.apart(a)-c.apart(b))
}

func usable(one inventory.Offer) bool { return one.Reason == "" && !one.Taken }

func number(is bool) int {
	if is {
		return 1
	}
	return 0
}

// far is how little a VF's NUMA node suits.
func (c *choice) far(one inventory.Offer) int {
	onNode := func(other inventory.Offer) bool { return other.NUMANode == one.NUMANode }
	if slices.ContainsFunc(c.chosen, onNode) {
		return 0
	}
	return 1 + c.size - min(c.size, c.count(onNode)) // nodes that have enough are alike
}

// apart is how little a VF's PF suits: when spread, one of which little is chosen and much is left; when packed, one of
// which much is chosen and, of those with enough, little is left.
func (c *choice) apart(one inventory.Offer) int {
	const much = 1 << 20
	onPF := func(other inventory.Offer) bool { return other.PF == one.PF }
	chosen, left := 0, c.count(onPF)
	for _, other := range c.chosen {
		chosen += number(onPF(other))
	}
	switch {
	case !c.pack:
		return chosen*much - left
	case left < c.size-len(c.chosen):
		return -chosen*much + much/2 - left
	}
	return -chosen*much + left
}

func (c *choice) count(is func(inventory.Offer) bool) int {
	count := 0
	for _, one := range c.left {
		count += number(usable(one) && is(one))
	}
	return count
}
