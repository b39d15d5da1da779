package report

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
	"github.com/nri-sriov/nri-sriov/pkg/kube/api"
	"github.com/nri-sriov/nri-sriov/pkg/kube/events"
	"github.com/nri-sriov/nri-sriov/pkg/kube/queue"
	"github.com/nri-sriov/nri-sriov/pkg/kube/status"
	"github.com/nri-sriov/nri-sriov/pkg/kube/taint"
)

// The reasons of Events beside those of refusals, which are hooks.Reason.
const (
	// AttachedLate and VFLost are of pods, with what hooks.Reasons names.
	AttachedLate    = "AttachedLate"
	VFLost          = "VFLost"
	StatusMalformed = "NetworkStatusMalformed"
	// The others are of the node.
	RecordSetAside   = "JournalRecordSetAside"
	ConfigRefused    = "ConfigRefused"
	ConfigTaken      = "ConfigTaken"
	ConfigIncomplete = "ConfigNeedsRestart"
	StartFailed      = "StartFailed"
	VFQuarantined    = "VFQuarantined"
)

// StatusKind is what tasks of network-status are called in the queue.
const StatusKind = "status"

// Kinds are all kinds of tasks.
func Kinds() []string { return []string{StatusKind, events.Kind, taint.Kind} }

const (
	// droppable is how many Events and statuses of pods that have ended are kept while the API server is away.
	droppable = 500
	workers   = 2
)

// Options are what a Reporter is made of.
type Options struct {
	Config *rest.Config
	// Node is the name of the Node object.
	Node  string
	Times queue.Times
	// Observe is told what became of each try; see queue.Options.
	Observe func(kind string, outcome queue.Outcome, err error)
	// Limited is told of each Event that is left unsaid since its object has had too many.
	Limited func()
}

// Reporter tells the API server. Each of its methods returns at once.
type Reporter struct {
	node   string
	client *api.Client
	queue  *queue.Queue
	events *events.Recorder
	taint  *taint.Tainter

	mutex sync.Mutex
	// pods is what was said last of live pods, by the key of their status.
	pods map[string]said
}

// said is what network-status was to show last, of which sandbox: a pod may have a new one before the old one is gone.
type said struct {
	sandbox string
	nothing bool
}

// New makes a reporter; it asks nothing before Run.
func New(o Options) (*Reporter, error) {
	client, err := api.New(o.Config)
	if err != nil {
		return nil, err
	}
	q := queue.New(queue.Options{Droppable: droppable, Workers: workers, Times: o.Times, Observe: o.Observe})
	return &Reporter{
		node: o.Node, client: client, queue: q, events: events.NewRecorder(client, q, o.Node, o.Limited),
		taint: taint.New(client, q, o.Node), pods: map[string]said{},
	}, nil
}

// Run tells until ctx ends.
func (r *Reporter) Run(ctx context.Context) {
	r.queue.Run(ctx)
	r.client.Close()
}

// Flush tells until there is nothing left to be told, or ctx ends.
func (r *Reporter) Flush(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		for ctx.Err() == nil && len(r.queue.Len()) > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	r.Run(ctx)
}

// Waiting counts what has not been told yet, by kind.
func (r *Reporter) Waiting() map[string]int { return r.queue.Len() }

// Taint says whether the node is to bear the taint.
func (r *Reporter) Taint(tainted bool) { r.taint.Want(tainted) }

// NodeEvent says an Event of the node.
func (r *Reporter) NodeEvent(kind, reason, message string) {
	r.events.Say(events.Event{Object: events.Node(r.node), Type: kind, Reason: reason, Message: message})
}

func (r *Reporter) podEvent(pod events.Object, reason, message string) {
	r.events.Say(events.Event{Object: pod, Type: events.Warning, Reason: reason, Message: message})
}

// Refused says why a pod or a container was held back. A refused container is told of in the words of its pod, so that both
// are one Event, unless what is said is of it alone.
func (r *Reporter) Refused(refusal hooks.Refusal) {
	message := refusal.Err.Error()
	if refusal.Container != "" && (refusal.Reason == hooks.NotReady || refusal.Reason == hooks.Unprepared) {
		message = fmt.Sprintf("container %s: %s", refusal.Container, message)
	}
	r.podEvent(events.Pod(refusal.Namespace, refusal.Name, refusal.UID), string(refusal.Reason), message)
}

// Settled says what a pod has now, or why it has nothing, in the words and with the reason of the gate, which says it too: both
// are one Event. Of a pod that runs already nobody else says it.
func (r *Reporter) Settled(s attach.Settled) {
	pod := events.Pod(s.Sandbox.Namespace, s.Sandbox.Name, s.Sandbox.UID)
	switch {
	case s.Err != nil:
		r.podEvent(pod, string(hooks.ReasonOfAttach(s.Err)), s.Err.Error())
		r.show(s.Sandbox, nil)
		return
	case s.Late:
		r.podEvent(pod, AttachedLate, "the pod had started before nri-sriov was there; it has now "+summary(s.Attachments))
	}
	r.show(s.Sandbox, entriesOf(s.Sandbox, s.Attachments))
}

func summary(attachments []attach.Attachment) string {
	var parts []string
	for _, one := range attachments {
		parts = append(parts, fmt.Sprintf("%s (network %s, %s)", one.Interface, one.Network, one.Address))
	}
	return strings.Join(parts, ", ")
}

func keyOf(sandbox attach.Sandbox) string {
	return strings.Join([]string{StatusKind, sandbox.Namespace, sandbox.Name, sandbox.UID}, " ")
}

// show has network-status show the entries of a live sandbox. That it shows none is said once, however often it fails.
func (r *Reporter) show(sandbox attach.Sandbox, entries []status.Entry) {
	key, now := keyOf(sandbox), said{sandbox.ID, len(entries) == 0}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if now.nothing && r.pods[key] == now {
		return
	}
	r.pods[key] = now
	r.put(key, sandbox, entries)
}

func (r *Reporter) put(key string, sandbox attach.Sandbox, entries []status.Entry) {
	pod := status.Pod{Namespace: sandbox.Namespace, Name: sandbox.Name, UID: sandbox.UID}
	r.queue.Put(queue.Task{Key: key, Kind: StatusKind, Do: func(ctx context.Context) error {
		err := status.Write(ctx, r.client, pod, entries)
		if errors.Is(err, status.ErrMalformed) {
			r.podEvent(events.Pod(pod.Namespace, pod.Name, pod.UID), StatusMalformed, err.Error()+"; it was left as it is")
			return nil
		}
		return err
	}})
}

// Ended takes note that a sandbox is over. What its pod's status shows stays, as that of other networks does; what was not
// told yet may make room for others.
func (r *Reporter) Ended(sandbox attach.Sandbox) {
	key := keyOf(sandbox)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.pods[key].sandbox == sandbox.ID {
		delete(r.pods, key)
		r.queue.Demote(key)
	}
}

// Withdrawn takes the entries of a pod away whose VFs a person has released while it lives. Those of a newer sandbox of the
// pod stay.
func (r *Reporter) Withdrawn(sandbox attach.Sandbox) {
	key := keyOf(sandbox)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if newer, ok := r.pods[key]; sandbox.Name != "" && (!ok || newer.sandbox == sandbox.ID) {
		r.put(key, sandbox, nil)
	}
}

// Lost says that a VF is gone from under its pod.
func (r *Reporter) Lost(sandbox attach.Sandbox, one attach.Attachment) {
	r.podEvent(events.Pod(sandbox.Namespace, sandbox.Name, sandbox.UID), VFLost,
		fmt.Sprintf("%s (network %s): %s %s", one.Interface, one.Network, one.Address, one.Error))
}

// Quarantined says that a VF did not come back clean.
func (r *Reporter) Quarantined(sandbox attach.Sandbox, one attach.Attachment, err error) {
	whose := "which nobody has"
	if sandbox.Name != "" {
		whose = "of pod " + sandbox.Namespace + "/" + sandbox.Name
	}
	r.NodeEvent(events.Warning, VFQuarantined, fmt.Sprintf("%s of %s, %s, is in quarantine and tried again: %s", one.Address, one.PFName, whose, err))
}

// SetAside says that a record of the journal could not be read.
func (r *Reporter) SetAside(sandbox string, err error) {
	r.NodeEvent(events.Warning, RecordSetAside, fmt.Sprintf("the journal's record of sandbox %s was set aside: %s", sandbox, err))
}
