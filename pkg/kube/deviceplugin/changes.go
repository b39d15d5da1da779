package deviceplugin

import (
	"context"
	"maps"
	"time"
)

// Changed has the kubelet told of what has changed, if anything has.
func (p *Plugin) Changed() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.change()
}

func (p *Plugin) change() {
	close(p.changed)
	p.changed = make(chan struct{})
	p.changes++
}

// nextChange is closed at the next change; number is that of the last one.
func (p *Plugin) nextChange() (next <-chan struct{}, number uint64) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.changed, p.changes
}

const (
	// othersTime bounds the wait for the other resources' news; takeIn is how long the kubelet is given to take them in, which it
	// does not confirm.
	othersTime = 250 * time.Millisecond
	takeIn     = 20 * time.Millisecond
)

// tellOthers has the kubelet told of what a resource's pod was just given, by the resources that share it, before it goes on
// and chooses for the next one.
func (p *Plugin) tellOthers(ctx context.Context, resource string) {
	p.mutex.Lock()
	p.change()
	number, others := p.changes, maps.Clone(p.served)
	p.mutex.Unlock()
	delete(others, resource)
	if len(others) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, othersTime)
	defer cancel()
	for _, one := range others {
		for one.watched() && one.told.Load() < number && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(takeIn):
	}
}
