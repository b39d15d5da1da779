package main

import (
	"context"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// rewatch is the pause before the kernel's events are listened to anew, where that failed.
const rewatch = 5 * time.Second

// follow has the inventory follow the node, for as long as the daemon runs: the kernel tells of changes, and then all is
// read anew.
func (d *daemon) follow(ctx context.Context, watch *vf.Watch) {
	for {
		d.followUntilEnd(ctx, watch)
		if ctx.Err() != nil {
			return
		}
		d.log.WithError(watch.Err()).Error("the kernel's events are lost; they are listened to anew")
		for watch = nil; watch == nil; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(rewatch):
			}
			var err error
			if watch, err = d.host.Watch(ctx, d.busy); err != nil {
				d.log.WithError(err).Error("the kernel's events cannot be listened to; changes of the node are seen after a restart")
			}
		}
		d.refresh(ctx) // what was not told
	}
}

// followUntilEnd follows one watch. A VF that has come home beside its user's doing tells of a pod's end.
func (d *daemon) followUntilEnd(ctx context.Context, watch *vf.Watch) {
	for {
		select {
		case _, open := <-watch.Changed:
			if !open {
				return
			}
			d.refresh(ctx)
		case address := <-watch.Returned:
			d.attacher.FunctionReturned(address)
		}
	}
}

// refresh reads the node until nothing changes meanwhile.
func (d *daemon) refresh(ctx context.Context) {
	for pause := 100 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, 2*time.Second) {
		began := time.Now()
		providers, _, err := d.read()
		if err != nil {
			d.log.WithError(err).Warn("the node cannot be read; its inventory stays as it was, and it is tried again")
		} else {
			changes := d.pool.Refresh(providers, began)
			d.attacher.Changed(changes)
			if !changes.Again {
				return
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// busy are functions that somebody has: what happens to them is our own doing.
func (d *daemon) busy(function vf.PCIAddress) bool {
	pool := d.owners.Load()
	return pool != nil && pool.Taken(function)
}
