package hooks

import (
	"context"
	"errors"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
)

// strangerTime is how long a container waits to hear whether its pod is to have VFs, when nothing says so: that of a pod
// with other containers that are to start later.
const strangerTime = 300 * time.Millisecond

// runStranger starts to ask about a pod without the annotation, while the kubelet has given VFs to somebody whom nobody
// knows. Outside Kubernetes, and while there is no such pod, nothing is asked.
func (p *Plugin) runStranger(f sandboxFacts, pod *api.PodSandbox) {
	node := p.node.Load()
	if node == nil || node.Kubelet == nil || !node.Kubelet.Promised() {
		return
	}
	defer p.answered("RunPodSandbox", pod, time.Now())
	f = f.of(pod)
	err := f.check()
	if err == nil {
		err = p.attachStranger(node, f)
	}
	if err != nil { // the gate says it, if the pod was given something
		p.logOf(f).WithError(err).Warn("it cannot be asked what the pod was given")
	}
}

// attachStranger starts to ask about a pod that asks for nothing by itself.
func (p *Plugin) attachStranger(node *Node, f sandboxFacts) error {
	return node.Attacher.AttachAsking(f.sandbox(node), nil, false, p.question(f))
}

// awaitStranger waits for the attachments of a pod of which nothing but the kubelet's answer tells that it is to have some.
// While there is none, its containers go on that were not given any.
func awaitStranger(ctx context.Context, f sandboxFacts, node *Node) ([]attach.Attachment, error) {
	brief, cancel := context.WithTimeout(ctx, strangerTime)
	defer cancel()
	attachments, err := node.Attacher.Ready(brief, f.id)
	if err != nil && brief.Err() != nil && !errors.Is(err, attach.ErrUnanswered) {
		attachments, err = node.Attacher.Ready(ctx, f.id) // it is to have some
	}
	if errors.Is(err, attach.ErrUnanswered) || errors.Is(err, attach.ErrUnknownSandbox) {
		return nil, nil
	}
	return attachments, err
}
