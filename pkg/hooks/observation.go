package hooks

import (
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/sirupsen/logrus"
)

// Observer is told how long the runtime waited. Pods that ask for nothing and have nothing are not counted: they would
// hide what the others wait for.
type Observer struct {
	// Answered is told of each answered request; hook is the NRI event's name.
	Answered func(hook string, took time.Duration)
	// Waited is told how long a container waited at the gate for the pod's attachments.
	Waited func(took time.Duration)
	// Refused is told of each pod or container that is held back, or should have been; nil is told of none. It does not wait.
	Refused func(Refusal)
}

// Observe has the plugin tell of each request from now on.
func (p *Plugin) Observe(o Observer) { p.observer.Store(&o) }

// answered tells that the answer to a request is ready.
func (p *Plugin) answered(hook string, pod *api.PodSandbox, begun time.Time) {
	took := time.Since(begun)
	if o := p.observer.Load(); o != nil {
		o.Answered(hook, took)
	}
	p.log.WithFields(logrus.Fields{"hook": hook, "sandbox": pod.GetId(), "took": took.String()}).Debug("hook answered")
}

// waited tells that the gate has let a container through, or has given up.
func (p *Plugin) waited(begun time.Time) {
	if o := p.observer.Load(); o != nil {
		o.Waited(time.Since(begun))
	}
}
