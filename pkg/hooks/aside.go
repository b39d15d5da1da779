package hooks

import (
	"context"
	"slices"
	"time"

	"github.com/containerd/nri/pkg/api"
)

// asideTime is how long another daemon may take to say that it serves.
const asideTime = 200 * time.Millisecond

// StandAside tells how to ask whether another daemon serves the node, for as long as this plugin has none. Pods are its to
// serve then; when it does not answer, they are refused. Call it before the plugin is started.
func (p *Plugin) StandAside(served func(ctx context.Context) bool) { p.served = served }

// aside answers whether a pod is another daemon's to serve, and takes note of it for the time after.
func (p *Plugin) aside(ctx context.Context, pod *api.PodSandbox) bool {
	if p.served == nil || p.node.Load() != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, asideTime)
	defer cancel()
	if !p.served(ctx) {
		return false
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.node.Load() != nil {
		return false
	}
	p.forget(pod)
	p.last = append(p.last, pod)
	return true
}

// forget takes a pod off the runtime's list. The caller holds the mutex.
func (p *Plugin) forget(pod *api.PodSandbox) {
	p.last = slices.DeleteFunc(p.last, func(one *api.PodSandbox) bool { return one.GetId() == pod.GetId() })
}
