package hooks

import (
	"errors"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/request"
)

// Reason is why a pod does not get what it asks for, as one word.
type Reason string

// The reasons. InvalidRequest is the annotation itself, or that it does not fit what the kubelet gave, NotAllowed what the
// node's config says of it, UnfitSandbox what the pod is run by. NotReady is a container that has waited as long as it may; it
// is asked for again. Unprepared is one that was created while nobody answered for it.
const (
	InvalidRequest Reason = "InvalidRequest"
	NotAllowed     Reason = "NotAllowed"
	UnfitSandbox   Reason = "UnfitSandbox"
	NoFreeVF       Reason = "NoFreeVF"
	UnknownTrait   Reason = "UnknownTrait"
	QuotaExceeded  Reason = "QuotaExceeded"
	Starting       Reason = "Starting"
	NotReady       Reason = "NotReady"
	Unprepared     Reason = "Unprepared"
	AttachFailed   Reason = "AttachFailed"
	Other          Reason = "Other"
)

// Reasons are all of them.
func Reasons() []Reason {
	return []Reason{InvalidRequest, NotAllowed, UnfitSandbox, NoFreeVF, UnknownTrait, QuotaExceeded, Starting, NotReady, Unprepared, AttachFailed, Other}
}

// Refusal is a sandbox or a container that was held back.
type Refusal struct {
	Namespace, Name, UID string
	// Container is empty where the whole sandbox was refused.
	Container string
	// Runs tells that it is too late to hold the container back.
	Runs   bool
	Reason Reason
	// Err is what the runtime is told, without the pod's name.
	Err error
}

// errStarting says that there is no node yet.
var errStarting = errors.New("the daemon is still starting")

// because is an error with the reason that it counts under.
type because struct {
	error
	reason Reason
}

// Unwrap gives the error itself.
func (b because) Unwrap() error { return b.error }

// ReasonOfAttach is why an attach has come to nothing: AttachFailed, or the reason of a refusal where it came only after the
// hook had returned, as it does when the kubelet is asked first.
func ReasonOfAttach(err error) Reason { return reasonOf(failedAttach(err)) }

// reasonOf is what an error counts under.
func reasonOf(err error) Reason {
	var said because
	switch {
	case errors.As(err, &said):
		return said.reason
	case errors.Is(err, errStarting):
		return Starting
	case errors.Is(err, inventory.ErrUnknownTrait):
		return UnknownTrait
	case errors.Is(err, inventory.ErrNoFreeVF):
		return NoFreeVF
	case errors.Is(err, attach.ErrQuota):
		return QuotaExceeded
	case errors.Is(err, attach.ErrAtWork), errors.Is(err, attach.ErrUnanswered):
		return NotReady
	}
	return Other
}

// failedAttach gives an error of an attach that reason, where it has none of its own.
func failedAttach(err error) error {
	if reasonOf(err) == Other {
		return because{err, AttachFailed}
	}
	return err
}

// parse reads what a pod asks for.
func parse(f sandboxFacts) (request.Pod, error) {
	pod, err := request.Parse(f.networks, f.grouping)
	if err != nil {
		return request.Pod{}, because{err, InvalidRequest}
	}
	return pod, nil
}

// authorise grants what the node's config says that a namespace may have.
func authorise(pod request.Pod, node *config.Node, namespace string) ([]request.Granted, error) {
	granted, err := request.Authorise(pod, node, namespace)
	if err != nil {
		return nil, because{err, NotAllowed}
	}
	return granted, nil
}

// refused tells the observer that a pod, or one of its containers, was held back.
func (p *Plugin) refused(f sandboxFacts, container string, err error) {
	p.tell(Refusal{Namespace: f.namespace, Name: f.name, UID: f.uid, Container: container, Reason: reasonOf(err), Err: err})
}

func (p *Plugin) tell(refusal Refusal) {
	if o := p.observer.Load(); o != nil && o.Refused != nil {
		o.Refused(refusal)
	}
}

// Reconfigure has pods that come from now on served by another config. What pods have already stays as it is; what a
// config says of huge pages holds from the next start on.
func (p *Plugin) Reconfigure(config *config.Node) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if node := p.node.Load(); node != nil {
		changed := *node
		changed.Config = config
		p.node.Store(&changed)
	}
}

// revise has a pod whose attach failed ask anew by today's config, which may refuse it.
func (p *Plugin) revise(f sandboxFacts, node *Node) error {
	if !f.asks || !node.Attacher.Failed(f.id) {
		return nil
	}
	wants, isolate, err := wantsOf(f, node)
	if err == nil {
		node.Attacher.Revise(f.id, wants, isolate)
	}
	return err
}
