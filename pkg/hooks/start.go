package hooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
)

var _ stub.StartContainerInterface = (*Plugin)(nil)

// StartContainer is the gate's second leaf: a runtime goes on without a plugin that does not answer CreateContainer in time,
// or dies over it. A container that was created like this has no devices and no description, and may be before its pod's VFs;
// it does not start.
func (p *Plugin) StartContainer(ctx context.Context, pod *api.PodSandbox, container *api.Container) error {
	f := factsOf(pod)
	if !p.isUnprepared(f, container) {
		return nil
	}
	if p.node.Load() == nil && p.aside(ctx, pod) {
		return nil
	}
	defer p.answered("StartContainer", pod, time.Now())
	f = f.of(pod)
	p.logOf(f).WithField("container", container.GetName()).WithError(errUnprepared).Warn("container does not start")
	p.refused(f, container.GetName(), errUnprepared)
	return f.refusal(fmt.Errorf("container %s: %w", printable(container.GetName()), errUnprepared))
}

// errUnprepared says why a container does not start, or should not have.
var errUnprepared = because{errors.New("it was created while nri-sriov did not answer, so without its devices and " + NetworksPath +
	": create it anew, as the kubelet does by itself where the pod's restartPolicy lets it"), Unprepared}

// sayUnprepared tells of the containers in the runtime's list that run like this: they started while nobody looked.
func (p *Plugin) sayUnprepared(f sandboxFacts, containers []*api.Container) {
	for _, one := range containers {
		if one.GetState() != api.ContainerState_CONTAINER_RUNNING || !p.isUnprepared(f, one) {
			continue
		}
		p.logOf(f).WithField("container", one.GetName()).WithError(errUnprepared).Warn("container runs without its devices")
		p.tell(Refusal{Namespace: f.namespace, Name: f.name, UID: f.uid, Container: one.GetName(), Runs: true, Reason: Unprepared, Err: errUnprepared})
	}
}

// isUnprepared tells whether a container that is to have something was created without an answer.
func (p *Plugin) isUnprepared(f sandboxFacts, container *api.Container) bool {
	return (f.asks || p.mayBeGiven(container)) && !isDescribed(container)
}

// mayBeGiven tells whether the kubelet gave a container VFs of ours. While the node is not ready nobody knows whether the
// kubelet is asked on it, and its note is believed.
func (p *Plugin) mayBeGiven(container *api.Container) bool {
	node := p.node.Load()
	return isGiven(container) && (node == nil || node.Kubelet != nil)
}

// isDescribed tells whether a container was created with what CreateContainer gave it: its networks.json is in all of them.
func isDescribed(container *api.Container) bool {
	return slices.ContainsFunc(container.GetMounts(), func(m *api.Mount) bool { return m.GetDestination() == NetworksPath })
}
