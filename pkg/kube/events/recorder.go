package events

import (
	"container/list"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/kube/api"
	"github.com/nri-sriov/nri-sriov/pkg/kube/queue"
)

// The bounds of what is said.
const (
	// remembered is how many Events are known to be there already, so that a repetition only counts.
	remembered = 1024
	// burst is how many different Events of a reason an object may have at once, refill how long it takes until it may have
	// one more. Of each reason, so that many VFs in quarantine do not keep a refused config from being told of. Reasons are a
	// handful, all of them ours.
	burst  = 10
	refill = time.Minute
	// quiet is the pause before a repetition is counted in the API; it doubles up to mostQuiet.
	quiet, mostQuiet = 10 * time.Second, 10 * time.Minute
	// lifetime is how long an Event is counted on; the API server forgets Events after an hour.
	lifetime = 50 * time.Minute
)

// Kind is what the tasks are called in the queue.
const Kind = "event"

// Recorder says Events through a queue.
type Recorder struct {
	client *api.Client
	queue  *queue.Queue
	node   string
	// limited is told of each Event that is not said since its object has had too many; nil tells nobody.
	limited func()
	now     func() time.Time

	mutex sync.Mutex
	// series are the Events that were said, in order of the last time; latest is first.
	series     map[string]*list.Element
	latest     *list.List
	allowances map[speaker]*allowance
}

// speaker is what has an allowance.
type speaker struct {
	object Object
	reason string
}

// series is one Event with how often it was said.
type series struct {
	key         string
	event       Event
	name        string
	first, last time.Time
	// count is how often it happened, told how often the API server knows of; 0 is not at all.
	count, told int
	// pause is how long a repetition waits before it is told; 0 before the first is.
	pause time.Duration
}

// allowance is what may still be said of an object, for a reason.
type allowance struct {
	left float64
	at   time.Time
}

// NewRecorder makes a recorder of what happens on a node; limited may be nil.
func NewRecorder(client *api.Client, q *queue.Queue, node string, limited func()) *Recorder {
	return &Recorder{
		client: client, queue: q, node: node, limited: limited, now: time.Now,
		series: map[string]*list.Element{}, latest: list.New(), allowances: map[speaker]*allowance{},
	}
}

// Say has an Event said, and returns at once. What was said before is counted, at growing intervals; an object that has had
// too many different ones of a reason is not heard with that for a while.
func (r *Recorder) Say(event Event) {
	event.Message = Clean(event.Message)
	key := fmt.Sprintf("event %q", []string{
		event.Object.Kind, event.Object.Namespace, event.Object.Name, event.Object.UID, event.Type, event.Reason, event.Message,
	})
	r.mutex.Lock()
	defer r.mutex.Unlock()
	now := r.now()
	known, ok := r.series[key]
	if ok && now.Sub(known.Value.(*series).first) > lifetime {
		r.latest.Remove(known)
		delete(r.series, key)
		ok = false
	}
	if !ok {
		if !r.allow(speaker{event.Object, event.Reason}, now) {
			if r.limited != nil {
				r.limited()
			}
			return
		}
		known = r.latest.PushFront(&series{key: key, event: event, name: nameOf(event.Object.Name, now), first: now})
		r.series[key] = known
		r.forget()
	}
	r.latest.MoveToFront(known)
	one := known.Value.(*series)
	one.last = now
	one.count++
	r.queue.Put(queue.Task{Key: key, Kind: Kind, Droppable: true, After: one.pause, Do: func(ctx context.Context) error { return r.tell(ctx, one) }})
}

// allow takes from an allowance, which fills with time.
func (r *Recorder) allow(who speaker, now time.Time) bool {
	one, ok := r.allowances[who]
	if !ok {
		if len(r.allowances) >= remembered {
			r.sweep(now)
		}
		one = &allowance{left: burst, at: now}
		r.allowances[who] = one
	}
	one.left = min(burst, one.left+float64(now.Sub(one.at))/float64(refill))
	one.at = now
	if one.left < 1 {
		return false
	}
	one.left--
	return true
}

// sweep forgets allowances that are full again, and when none is, all of them.
func (r *Recorder) sweep(now time.Time) {
	for who, one := range r.allowances {
		if one.left+float64(now.Sub(one.at))/float64(refill) >= burst {
			delete(r.allowances, who)
		}
	}
	if len(r.allowances) >= remembered {
		clear(r.allowances)
	}
}

// forget lets go of the Events that were said the longest ago.
func (r *Recorder) forget() {
	for r.latest.Len() > remembered {
		oldest := r.latest.Back()
		delete(r.series, r.latest.Remove(oldest).(*series).key)
	}
}

// nameOf is unique, as the name of an Event must be; the form is that of client-go.
func nameOf(object string, now time.Time) string {
	const longest = 253
	suffix := "." + strconv.FormatInt(now.UnixNano(), 16) + strconv.FormatUint(uint64(rand.Uint32()), 16) // wall clock: a part of a name
	return object[:min(len(object), longest-len(suffix))] + suffix
}

// tell makes the Event, or has it count on. One that the API server has forgotten meanwhile is made anew.
func (r *Recorder) tell(ctx context.Context, one *series) error {
	r.mutex.Lock()
	count, told, last := one.count, one.told, one.last
	event, name, first := one.event, one.name, one.first
	r.mutex.Unlock()
	folder := api.Path("namespaces", event.Object.namespaceOf(), "events")
	if told == count {
		return nil
	}
	err := error(&api.Refusal{Code: 404})
	if told > 0 {
		err = r.client.Patch(ctx, folder+"/"+name, map[string]any{"count": count, "lastTimestamp": stamp(last)})
	}
	if api.Code(err) == 404 {
		err = r.client.Create(ctx, folder, written{
			APIVersion: "v1", Kind: "Event", Metadata: metadata{Name: name, Namespace: event.Object.namespaceOf()},
			InvolvedObject: event.Object, Reason: event.Reason, Message: event.Message,
			Source:         source{Component: component, Host: r.node},
			FirstTimestamp: stamp(first), LastTimestamp: stamp(last), Count: count, Type: event.Type,
			ReportingComponent: component, ReportingInstance: r.node,
		}, nil)
		if api.Code(err) == 409 {
			err = nil // the answer to an earlier try was lost; the next repetition counts on
		}
	}
	if err == nil {
		r.mutex.Lock()
		one.told = count
		one.pause = min(max(2*one.pause, quiet), mostQuiet)
		r.mutex.Unlock()
	}
	return err
}
