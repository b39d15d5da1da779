package hooks

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/sirupsen/logrus"
)

// Synchronize takes the runtime's list of sandboxes, and starts to make the node true to it.
func (p *Plugin) Synchronize(_ context.Context, pods []*api.PodSandbox, containers []*api.Container) ([]*api.ContainerUpdate, error) {
	defer p.answered("Synchronize", nil, time.Now())
	inside := map[string][]*api.Container{}
	for _, one := range containers {
		inside[one.GetPodSandboxId()] = append(inside[one.GetPodSandboxId()], one)
	}
	p.mutex.Lock()
	node := p.node.Load()
	if node == nil {
		p.last, p.lastContainers = append([]*api.PodSandbox{}, pods...), inside
	}
	p.mutex.Unlock()
	if node != nil {
		p.reconcile(node, pods, inside)
	}
	p.synchronised.Store(true)
	return nil, nil
}

func (p *Plugin) reconcile(node *Node, pods []*api.PodSandbox, containers map[string][]*api.Container) {
	var live []attach.Live
	facts := map[string]sandboxFacts{}
	for _, pod := range pods {
		f := factsOf(pod)
		stranger := !f.asks && node.Kubelet != nil && slices.ContainsFunc(containers[f.id], isGiven)
		if !f.asks && !stranger && !node.Attacher.Known(f.id) {
			continue
		}
		f = f.of(pod)
		facts[f.id] = f
		live = append(live, p.liveOf(node, f))
		p.sayUnprepared(f, containers[f.id])
	}
	late := 0
	for id, err := range node.Attacher.Reconcile(live) {
		if errors.Is(err, vf.ErrNoNamespace) {
			continue // it has ended already
		}
		late++
		p.logOf(facts[id]).WithError(err).Error("pod cannot be attached late")
		p.refused(facts[id], "", err)
	}
	node.Attacher.CollectLeases(delegated(node.Config))
	p.log.WithFields(logrus.Fields{"sandboxes": len(pods), "asking": len(live), "refused": late}).Info("synchronised with the runtime")
}

// liveOf is a sandbox of the runtime's list with what it is to have.
func (p *Plugin) liveOf(node *Node, f sandboxFacts) attach.Live {
	one := attach.Live{Sandbox: f.sandbox(node)}
	err := f.check()
	if err == nil && node.Kubelet != nil {
		one.Ask = p.question(f) // also where it is refused: another config may grant it what the kubelet gave it
	}
	if err == nil && f.asks {
		one.Wants, one.Isolate, err = wantsOf(f, node)
	}
	if err != nil {
		one.Refused = true
		p.logOf(f).WithError(err).Warn("pod asks for what it cannot have")
		p.refused(f, "", err)
	}
	return one
}
