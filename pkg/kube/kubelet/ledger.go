package kubelet

import (
	"maps"
	"slices"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// startTime is how long the kubelet may take to tell of a pod to which it has just given something.
const startTime = 30 * time.Second

// promise is a device that the kubelet gave away for a resource.
type promise struct {
	resource string
	// given is when that was said last; listed tells that the kubelet has told of the pod since.
	given  time.Time
	listed bool
}

// ledger is what the kubelet gave away, for each device in the order in which it did so: a device that two resources share
// belongs to the first, until its pod has ended.
type ledger map[vf.PCIAddress][]promise

// give notes that a device was given away for a resource. One whose earlier pod was told of goes to another pod now, which
// comes after those that wait already.
func (l ledger) give(address vf.PCIAddress, resource string, now time.Time) {
	at := l.find(address, resource)
	if at >= 0 && !l[address][at].listed {
		l[address][at].given = now // the same pod's next container
		return
	}
	if at >= 0 {
		l[address] = slices.Delete(l[address], at, at+1)
	}
	l[address] = append(l[address], promise{resource: resource, given: now})
}

// confirm notes that the kubelet tells of a pod with a device.
func (l ledger) confirm(address vf.PCIAddress, resource string, now time.Time) {
	if at := l.find(address, resource); at >= 0 {
		l[address][at].listed = true
		return
	}
	l[address] = append(l[address], promise{resource: resource, given: now, listed: true})
}

// drop gives back what is not in the list of all that pods have, which was asked for at a time, and was not given away just
// before.
func (l ledger) drop(list map[vf.PCIAddress][]string, asked time.Time) {
	for address, promises := range l {
		l[address] = slices.DeleteFunc(promises, func(one promise) bool {
			gone := !slices.Contains(list[address], one.resource)
			return gone && one.given.Before(asked) && (one.listed || asked.Sub(one.given) > startTime)
		})
		if len(l[address]) == 0 {
			delete(l, address)
		}
	}
}

// retain takes over what a list, which was asked for at a time, tells.
func (l ledger) retain(list map[vf.PCIAddress][]string, asked time.Time) {
	for _, address := range slices.SortedFunc(maps.Keys(list), vf.PCIAddress.Compare) {
		for _, resource := range slices.Sorted(slices.Values(list[address])) {
			// What was given again after the question may be another pod's, of whom the list does not tell.
			if at := l.find(address, resource); at < 0 || l[address][at].given.Before(asked) {
				l.confirm(address, resource, asked)
			}
		}
	}
}

func (l ledger) find(address vf.PCIAddress, resource string) int {
	return slices.IndexFunc(l[address], func(one promise) bool { return one.resource == resource })
}

// resources are those for which each device was given away, in order.
func (l ledger) resources() map[vf.PCIAddress][]string {
	all := map[vf.PCIAddress][]string{}
	for address, promises := range l {
		for _, one := range promises {
			all[address] = append(all[address], one.resource)
		}
	}
	return all
}

// holder is the resource for which a device was given away first, and other than the one asked about; empty when none.
func (l ledger) holder(address vf.PCIAddress, but string) string {
	if len(l[address]) == 0 || l[address][0].resource == but {
		return ""
	}
	return l[address][0].resource
}
