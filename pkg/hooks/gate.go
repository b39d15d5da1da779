package hooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
)

// CreateContainer is the gate: no container of a pod that asks is created before all that it asked for is there.
func (p *Plugin) CreateContainer(ctx context.Context, pod *api.PodSandbox, container *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	f := factsOf(pod)
	node := p.node.Load()
	if !f.asks && !p.mayBeGiven(container) && (node == nil || !node.Attacher.Known(f.id)) {
		return nil, nil, nil
	}
	f = f.of(pod)
	if node == nil && p.aside(ctx, pod) {
		return nil, nil, nil
	}
	defer p.answered("CreateContainer", pod, time.Now())
	adjustment, err := p.admit(ctx, f, node, container)
	if err != nil {
		p.logOf(f).WithField("container", container.GetName()).WithError(err).Warn("container held back")
		p.refused(f, container.GetName(), err)
		return nil, nil, f.refusal(err)
	}
	return adjustment, nil, nil
}

func (p *Plugin) admit(ctx context.Context, f sandboxFacts, node *Node, container *api.Container) (*api.ContainerAdjustment, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(gateShare*float64(p.request.Load())))
	defer cancel()
	if node == nil {
		return nil, fmt.Errorf("%w; the container is tried again", errStarting)
	}
	if err := p.revise(f, node); err != nil {
		return nil, err
	}
	attachments, err := p.await(ctx, f, node, container)
	if err == nil && node.Kubelet != nil {
		err = p.admitGiven(ctx, f, node, container, attachments)
	} else if err != nil {
		err = failedAttach(err)
	}
	if err != nil || !f.asks && len(attachments) == 0 {
		return nil, err
	}
	if attachments, err = forInit(f, container, attachments); err != nil {
		return nil, err
	}
	return inTime(ctx, func() (*api.ContainerAdjustment, error) { return adjust(node, f.id, container, attachments) })
}

// await waits for the pod's attachments.
func (p *Plugin) await(ctx context.Context, f sandboxFacts, node *Node, container *api.Container) ([]attach.Attachment, error) {
	defer p.waited(time.Now())
	if !f.asks && !isGiven(container) {
		return awaitStranger(ctx, f, node)
	}
	attachments, err := node.Attacher.Ready(ctx, f.id)
	if errors.Is(err, attach.ErrUnknownSandbox) {
		// The sandbox ran while the daemon was away.
		if err := p.attach(f); err != nil {
			return nil, err
		}
		if err := node.Attacher.Admit(f.id, nil); err != nil { // there may be containers that nobody has seen
			return nil, err
		}
		attachments, err = node.Attacher.Ready(ctx, f.id)
	}
	if !f.asks && errors.Is(err, attach.ErrUnknownSandbox) {
		return nil, nil // the kubelet says that the pod was given nothing
	}
	return attachments, err
}

// inTime has the answer in time, or an error: past the request's timeout the runtime would create the container without
// what is in the answer. What is late is made again when the container is tried again.
func inTime(ctx context.Context, do func() (*api.ContainerAdjustment, error)) (*api.ContainerAdjustment, error) {
	type answer struct {
		adjustment *api.ContainerAdjustment
		err        error
	}
	made := make(chan answer, 1)
	go func() {
		adjustment, err := do()
		made <- answer{adjustment, err}
	}()
	select {
	case one := <-made:
		return one.adjustment, one.err
	case <-ctx.Done():
		return nil, fmt.Errorf("the container's devices and files are not ready in time; the container is tried again: %w", ctx.Err())
	}
}
