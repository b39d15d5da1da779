package hooks

import (
	"context"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
)

var _ stub.RemoveContainerInterface = (*Plugin)(nil)

// RemoveContainer is a sign that the pod may have ended: a runtime tells it also of sandboxes that are older than itself,
// whose own end it keeps to itself.
func (p *Plugin) RemoveContainer(_ context.Context, pod *api.PodSandbox, _ *api.Container) error {
	if node := p.node.Load(); node != nil {
		node.Attacher.ContainerRemoved(pod.GetId())
	}
	return nil
}
