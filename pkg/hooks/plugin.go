package hooks

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/sirupsen/logrus"
)

// The stub leaves a handler with another signature out without a word.
var (
	_ stub.ConfigureInterface       = (*Plugin)(nil)
	_ stub.SynchronizeInterface     = (*Plugin)(nil)
	_ stub.RunPodInterface          = (*Plugin)(nil)
	_ stub.StopPodInterface         = (*Plugin)(nil)
	_ stub.RemovePodInterface       = (*Plugin)(nil)
	_ stub.CreateContainerInterface = (*Plugin)(nil)
)

// gateShare is the part of the runtime's request timeout that the gate may use.
const gateShare = 0.7

// Node is what the hooks need of a node that is ready: its config, its attachments, and the files for containers.
type Node struct {
	Config   *config.Node
	Attacher *attach.Attacher
	Results  *attach.Results
	// NUMANodes tells on which nodes the CPUs of a list such as 0-3,8 are; nil where that is not known.
	NUMANodes func(cpus string) []int
	// Given reads what user space drives an attachment through, as the kernel has it now.
	Given func(attach.Attachment) (attach.Given, error)
	// Kubelet is asked what it gave to pods; nil outside Kubernetes.
	Kubelet *Kubelet
	// Hugepages gives containers with vfio devices their folder in it; nil gives none.
	Hugepages *attach.Hugepages
}

// Plugin is the NRI plugin.
type Plugin struct {
	log logrus.FieldLogger
	// configure is told the config text of the runtime, where this plugin was started by it.
	configure func(text string) error
	// timeout asks for the runtime's request timeout; request holds what it said at the last Configure.
	timeout func() time.Duration
	request atomic.Int64

	node     atomic.Pointer[Node]
	observer atomic.Pointer[Observer]
	// served tells whether another daemon serves the node; see StandAside.
	served func(ctx context.Context) bool

	// mutex guards last, the runtime's list that came before the node was ready.
	mutex sync.Mutex
	last  []*api.PodSandbox
	// lastContainers are those of its pods, by sandbox.
	lastContainers map[string][]*api.Container
	// synchronised tells whether the runtime's list came since the last connection.
	synchronised atomic.Bool
	// atGate tells that a refusal is left to the gate, for the runtime's sake; see leaksRefused.
	atGate atomic.Bool
}

// New makes a plugin that refuses requests until it is told of a ready node. configure may be nil.
func New(log logrus.FieldLogger, configure func(text string) error) *Plugin {
	p := &Plugin{log: log, configure: configure, timeout: func() time.Duration { return stub.DefaultRequestTimeout }}
	p.request.Store(int64(stub.DefaultRequestTimeout))
	return p
}

// SetTimeout tells where the runtime's request timeout is to be asked for; call it before the plugin is started.
func (p *Plugin) SetTimeout(timeout func() time.Duration) { p.timeout = timeout }

// Start gives the plugin its node, and reconciles it with what the runtime has listed already.
func (p *Plugin) Start(node *Node) {
	p.mutex.Lock()
	last, containers := p.last, p.lastContainers
	p.last, p.lastContainers = nil, nil
	p.node.Store(node)
	p.mutex.Unlock()
	if last != nil {
		p.reconcile(node, last, containers)
	}
}

// Disconnected tells the plugin that the runtime is away.
func (p *Plugin) Disconnected() { p.synchronised.Store(false) }

// Synchronised tells whether the plugin is connected to the runtime and has its list of sandboxes.
func (p *Plugin) Synchronised() bool { return p.synchronised.Load() }

// Configure takes the config of a plugin that the runtime started; others bring their own.
func (p *Plugin) Configure(_ context.Context, text, runtime, version string) (api.EventMask, error) {
	p.request.Store(int64(p.timeout()))
	p.atGate.Store(leaksRefused(runtime, version))
	log := p.log.WithFields(logrus.Fields{"runtime": runtime, "version": version, "timeout": p.timeout().String()})
	if p.configure != nil {
		if err := p.configure(text); err != nil {
			log.WithError(err).Error("the runtime's config is not valid")
			return 0, err
		}
	}
	log.Info("connected to the runtime")
	if p.atGate.Load() {
		log.Warn("this runtime leaks sandboxes that are refused; refused pods are held back at their containers instead")
	}
	return 0, nil
}

// RunPodSandbox reads the pod's request, authorises it, claims VFs and starts the kernel's work. It waits for nothing.
func (p *Plugin) RunPodSandbox(ctx context.Context, pod *api.PodSandbox) error {
	f := factsOf(pod)
	if !f.asks {
		p.runStranger(f, pod)
		return nil
	}
	if p.aside(ctx, pod) {
		return nil
	}
	defer p.answered("RunPodSandbox", pod, time.Now())
	if err := p.attach(f); err != nil {
		p.logOf(f).WithError(err).Warn("pod refused")
		p.refused(f, "", err)
		if p.atGate.Load() {
			return nil // nothing is kept of it; the gate asks anew, and says what is true then
		}
		return f.refusal(err)
	}
	return nil
}

func (p *Plugin) attach(f sandboxFacts) error {
	node := p.node.Load()
	if node == nil {
		return fmt.Errorf("%w; the pod is tried again", errStarting)
	}
	if !f.asks {
		if err := f.check(); err != nil {
			return err
		}
		return p.attachStranger(node, f)
	}
	wants, isolate, err := wantsOf(f, node)
	if err != nil {
		return err
	}
	if node.Kubelet != nil {
		return node.Attacher.AttachAsking(f.sandbox(node), wants, isolate, p.question(f))
	}
	return node.Attacher.Attach(f.sandbox(node), wants, isolate)
}

// StopPodSandbox hands the sandbox over for release.
func (p *Plugin) StopPodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.release("StopPodSandbox", pod)
}

// RemovePodSandbox does the same: it also comes without a stop before it.
func (p *Plugin) RemovePodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.release("RemovePodSandbox", pod)
}

func (p *Plugin) release(hook string, pod *api.PodSandbox) error {
	begun := time.Now()
	p.mutex.Lock()
	p.forget(pod)
	p.mutex.Unlock()
	if node := p.node.Load(); node != nil && node.Attacher.Known(pod.GetId()) {
		node.Attacher.Release(pod.GetId())
		p.answered(hook, pod, begun)
	}
	return nil
}

func (p *Plugin) logOf(f sandboxFacts) *logrus.Entry {
	return p.log.WithFields(logrus.Fields{"sandbox": f.id, "pod": f.name, "namespace": f.namespace})
}

// refusal is the sentence that the kubelet shows to the pod's owner.
func (f sandboxFacts) refusal(err error) error {
	return fmt.Errorf("nri-sriov: pod %s/%s: %w", printable(f.namespace), printable(f.name), err)
}
