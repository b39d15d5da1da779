package vf

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The kernel often tells of a change before it makes it visible, and one change comes as many events: each VF that a PF
// gets is a device, a driver, an interface and udev's name for it. A signal therefore comes when nothing was told for
// quietTime, and for a node that is never quiet lateTime after the first event.
const (
	quietTime = 200 * time.Millisecond
	lateTime  = 2 * time.Second
	// maxReturned bounds what waits in Returned.
	maxReturned = 256
)

// Watch tells that PFs, VFs or what the host does with them are not what they were.
type Watch struct {
	// Changed gets a signal some time after a change. It holds one at most: who is slow sees many changes as one. It is
	// closed when the watch ends.
	Changed <-chan struct{}
	// Returned gets the address of each busy function whose interface has come into the host's network namespace: by its
	// user's doing, or because the kernel sent it home when a pod's namespace ended. What nobody takes soon is dropped.
	// It is never closed.
	Returned <-chan PCIAddress

	err error
}

// Err says why Changed was closed; nil when the context has ended. Ask it after that only.
func (w *Watch) Err() error { return w.err }

// Watch listens to the kernel until ctx ends; nothing is polled. What changes before it returns is not told, so watch
// first and read then. When it ends by itself, begin another one, and read again. End it before the host is closed.
//
// It listens to these in the host's network namespace, for what they mean to the reading of a node:
//
//   - the device events of bus pci: a PF or VF comes or goes, is bound or unbound, or a PF gets VFs;
//   - links: an interface of a PCI function comes, leaves for another namespace, is renamed, gets a master or loses it, is
//     raised or lowered, is made promiscuous, gets an XDP program; or another interface, such as a VLAN, is put upon it.
//     They come after the change, so that the device events of net, which come before it, are not needed;
//   - addresses of those interfaces, and default routes, which make a NIC the host's own. A route is needed beside the
//     addresses: a host that is routed to by IPv6 link-local addresses has none other on its NICs.
//
// Veths of ordinary pods, and their addresses and routes, are not the node's business: each costs the parsing of a message
// in this process, a few microseconds, and each route that is no default one nothing, since the kernel filters it.
// Messages that only repeat what is known, such as the renewal of an IPv6 address by a router, give no signal either.
// When the kernel had to drop events, all is read anew and a signal is given.
//
// What happens to a function while busy says so is its user's own doing: it is bound, moved, renamed and raised, and none
// of that gives a signal. That it is no more gives one all the same. Nil is never.
func (h *Host) Watch(ctx context.Context, busy func(PCIAddress) bool) (*Watch, error) {
	return h.watch(ctx, linkState.ofFunction, func(function string) bool {
		address, err := ParsePCIAddress(function)
		return err == nil && busy != nil && busy(address)
	})
}

func (h *Host) watch(ctx context.Context, ours func(linkState) bool, busy func(string) bool) (*Watch, error) {
	devices, err := h.net.listen(unix.NETLINK_KOBJECT_UEVENT, nil, deviceGroup)
	if err != nil {
		return nil, fmt.Errorf("watch devices: %w", err)
	}
	links, err := h.net.listen(unix.NETLINK_ROUTE, defaultRoutesOnly, linkGroups...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch links: %w", err), devices.Close())
	}
	seen := &sightings{ours: ours, busy: busy}
	if err := h.learn(seen); err != nil {
		return nil, errors.Join(err, devices.Close(), links.Close())
	}
	returned := make(chan PCIAddress, maxReturned)
	seen.returned = func(function string) {
		address, err := ParsePCIAddress(function)
		if err != nil {
			return
		}
		select {
		case returned <- address:
		default:
		}
	}
	listening, end := context.WithCancelCause(ctx)
	events := make(chan struct{}, 1)
	var readers sync.WaitGroup
	readers.Go(func() {
		end(devices.follow(listening, func() error { return nil }, func(message []byte) bool { return deviceNews(message, busy) }, func() { signal(events) }))
	})
	readers.Go(func() {
		end(links.follow(listening, func() error { return h.learn(seen) }, seen.news, func() { signal(events) }))
	})
	changed := make(chan struct{}, 1)
	w := &Watch{Changed: changed, Returned: returned}
	go func() {
		calm(listening, events, changed)
		closed := errors.Join(devices.Close(), links.Close()) // which ends the readers
		readers.Wait()
		if ctx.Err() == nil {
			w.err = errors.Join(context.Cause(listening), closed)
		}
		end(nil)
		close(changed)
	}()
	return w, nil
}

// learn reads the links and addresses of the host, for news to be told from repetition.
func (h *Host) learn(seen *sightings) error {
	seen.forget()
	links := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	links.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	addresses := nl.NewNetlinkRequest(unix.RTM_GETADDR, unix.NLM_F_DUMP)
	addresses.AddData(nl.NewIfAddrmsg(unix.AF_UNSPEC))
	for _, one := range []struct {
		request *nl.NetlinkRequest
		answer  uint16
	}{{links, unix.RTM_NEWLINK}, {addresses, unix.RTM_NEWADDR}} {
		messages, err := h.net.send(one.request)
		if err != nil {
			return fmt.Errorf("learn what the host's interfaces are: %w", err)
		}
		for _, body := range messages {
			seen.message(one.answer, body)
		}
	}
	return nil
}

// signal leaves a signal, unless one waits already.
func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// calm makes one signal of events that follow each other, until ctx ends.
func calm(ctx context.Context, events <-chan struct{}, changed chan<- struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
		}
		late := time.After(lateTime)
		for quiet := false; !quiet; {
			select {
			case <-ctx.Done():
				return
			case <-events:
			case <-late:
				quiet = true
			case <-time.After(quietTime):
				quiet = true
			}
		}
		signal(changed)
	}
}
