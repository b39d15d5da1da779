package attach

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/sirupsen/logrus"
)

// ErrUnknownSandbox says that a sandbox has no attachments here.
var ErrUnknownSandbox = errors.New("unknown sandbox")

// Attacher is the node's attachments.
type Attacher struct {
	pool      *inventory.Pool
	journal   *journal.Journal
	copies    *journal.Journal
	hugepages *Hugepages
	results   *Results
	device    Device
	address   Addresser
	announcer Announcer
	// settings reads what the PFs have set; a VF that was read back as clean is not asked for.
	settings func(vf.PF) (map[int]vf.Settings, error)
	reread   func(vf.PCIAddress) (*inventory.Provider, error)
	open     func(path string) (*vf.Namespace, error)
	follow   func(netns string)
	host     uint64
	times    Times
	log      logrus.FieldLogger
	observer Observer

	workers *workers
	counts  counts
	// disk has a place for each of those that write the journal.
	disk  chan struct{}
	ctx   context.Context
	lives sync.WaitGroup

	mutex   sync.Mutex
	entries map[string]*entry
	// traces are sandboxes of which something stays in the run folder that could not be removed.
	traces map[string]bool
}

// New makes an Attacher whose work ends with ctx: what is under way is finished, what has not begun stays journaled.
func New(ctx context.Context, o Options) *Attacher {
	return &Attacher{
		pool: o.Pool, journal: o.Journal, copies: o.Copies, hugepages: o.Hugepages, results: o.Results, device: o.Device,
		address: o.Address, announcer: o.Announce, settings: o.Settings, reread: o.Reread, open: o.Open, host: o.Host,
		times: o.Times, log: o.Log, observer: o.Observer, follow: o.Follow, workers: newWorkers(), counts: counts{untold: map[string]int{}},
		disk: make(chan struct{}, writers), ctx: ctx, entries: map[string]*entry{},
		traces: map[string]bool{},
	}
}

// phase is where a sandbox stands as a whole.
type phase int

const (
	// recovering: from the journal, and nobody knows yet whether the sandbox lives.
	recovering phase = iota
	attaching
	ready
	failed
	releasing
	// without: it is to have nothing, and is forgotten.
	without
	// later: the record is a later program's, and nothing is done.
	later
)

// entry is one sandbox. Its fields belong to the Attacher's mutex.
type entry struct {
	sandbox     Sandbox
	wants       []Want
	isolate     bool
	attachments []Attachment
	phase       phase
	err         error
	failedAt    time.Time
	// listed tells that the runtime has named the sandbox since the daemon started.
	listed bool
	// lost tells that a VF of the journaled attachments is gone, or another sandbox's: all is given back and tried anew.
	lost bool
	// begun is when the attempt began; late tells that the pod had started before.
	begun time.Time
	late  bool
	// absentSince is when the runtime's list first lacked the sandbox.
	absentSince time.Time

	// writing is held while the journal is written.
	writing sync.Mutex
	// unwritten tells that the pod has all, and that this could not be written down again after a restart.
	unwritten bool
	claim     *inventory.Claim
	// ns is open while work is under way, and closed by the one who ends that work.
	ns *vf.Namespace
	// ask is who knows what the sandbox is to have, nil where its own wants say it; answered tells that wants are the answer.
	ask      Question
	answered bool
	// admitted tells that a container may run: one was let through, or may have been while nobody looked.
	admitted bool
	// withdrawn is closed when the VFs of a failed attempt are back.
	withdrawn chan struct{}
	// cancel calls the attach off; settled is closed when the attach has come to an end.
	cancel  context.CancelFunc
	settled chan struct{}
}

// Attach claims VFs for a sandbox and starts the kernel's work. It opens the namespace and decides; it does not wait.
// A sandbox that is known already is left as it is. The error is a refusal: nothing is claimed then.
func (a *Attacher) Attach(sandbox Sandbox, wants []Want, isolate bool) error {
	return a.enter(&entry{sandbox: sandbox, wants: wants, isolate: isolate})
}

func (a *Attacher) enter(e *entry) error {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if known, ok := a.entries[e.sandbox.ID]; ok {
		if known.phase == releasing {
			return fmt.Errorf("sandbox %s is being released", e.sandbox.ID)
		}
		return nil
	}
	if err := a.begin(e); err != nil {
		return err
	}
	a.entries[e.sandbox.ID] = e
	return nil
}

// begin starts an attempt; the caller holds the mutex.
func (a *Attacher) begin(e *entry) error {
	if e.ask != nil {
		e.claim, e.attachments, e.err, e.answered = nil, nil, nil, false
		a.start(e, a.asked)
		return nil
	}
	if err := a.take(e); err != nil {
		return err
	}
	a.start(e, a.attach)
	return nil
}

// take claims what a sandbox wants and opens its namespace; the caller holds the mutex.
func (a *Attacher) take(e *entry) error {
	if err := a.checkQuota(e); err != nil {
		return err
	}
	ns, err := a.podNamespace(e)
	if err != nil {
		return err
	}
	claim, err := a.pool.Claim(e.request())
	if err != nil {
		closeNamespace(ns)
		return err
	}
	a.identify(e, ns)
	e.claim, e.ns, e.attachments, e.err = claim, ns, nil, nil
	return nil
}

func (e *entry) request() inventory.Request {
	r := inventory.Request{Sandbox: e.sandbox.ID, Isolate: e.isolate, NUMANodes: e.sandbox.NUMANodes, Groups: make([]inventory.Group, len(e.wants))}
	for i, want := range e.wants {
		r.Groups[i] = want.group()
	}
	return r
}

// start runs one attempt in a goroutine of its own; the caller holds the mutex.
func (a *Attacher) start(e *entry, attempt func(context.Context, *entry) error) {
	ctx, cancel := context.WithCancel(a.ctx)
	e.phase, e.cancel, e.settled, e.begun = attaching, cancel, make(chan struct{}), time.Now()
	settled := e.settled
	a.lives.Go(func() {
		defer cancel()
		if ns := a.settle(e, attempt(ctx, e), settled); ns != nil {
			defer closeNamespace(ns)
			ctx, cancel := context.WithTimeout(ctx, a.times.Attach)
			defer cancel()
			a.announce(ctx, e, ns)
		}
	})
}

// limit bounds an attempt, from the time on when it is known what the sandbox is to have.
func (a *Attacher) limit(ctx context.Context, e *entry) (context.Context, context.CancelFunc) {
	count := 1 // VFs of one PF come one after the other
	a.mutex.Lock()
	for _, want := range e.wants {
		count = max(count, len(want.Interfaces))
	}
	a.mutex.Unlock()
	return context.WithTimeout(ctx, time.Duration(count)*a.times.Attach)
}

// Known tells whether a sandbox has attachments here, in any state.
func (a *Attacher) Known(sandbox string) bool {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	_, ok := a.entries[sandbox]
	return ok
}

// Release hands a sandbox over for release and returns at once. It opens the namespace, so that the VFs can be fetched
// after the runtime has removed it. A sandbox that is not known, or in release already, is success.
func (a *Attacher) Release(sandbox string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	e, ok := a.entries[sandbox]
	if !ok || e.phase == releasing {
		return
	}
	if e.phase == later {
		a.log.WithFields(sandboxFields(e.sandbox)).WithError(journal.ErrLater).Warn("nothing is released: what the sandbox has is not known here")
		return
	}
	if e.cancel != nil {
		e.cancel()
	}
	var ns *vf.Namespace
	if e.sandbox.NetNS != "" {
		var err error
		ns, err = a.open(e.sandbox.NetNS)
		if err == nil && e.sandbox.NetNSInode != 0 && ns.Inode() != e.sandbox.NetNSInode {
			closeNamespace(ns) // another sandbox's namespace at the same path
			ns = nil
		}
	}
	settled, withdrawn := e.settled, e.withdrawn
	e.phase = releasing
	a.observer.ended(e.sandbox)
	for i := range e.attachments {
		e.attachments[i].State = Releasing
		if !e.attachments[i].Freed {
			a.pool.Release(sandbox, e.attachments[i].Address, "")
		}
	}
	a.lives.Go(func() {
		await(settled)
		await(withdrawn)
		a.release(e, ns)
	})
}

func await(end chan struct{}) {
	if end != nil {
		<-end
	}
}

// Wait waits for all work to end, after the context given to New has ended. When ctx ends first, the error names the PFs
// that are at work still: a driver may hang for ever.
func (a *Attacher) Wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		a.lives.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("work is still under way on %v; the next daemon goes on from the journal: %w", a.workers.atWork(), ctx.Err())
	}
}
