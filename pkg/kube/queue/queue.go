package queue

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Work tells the API server one thing. It is called again after an error, unless that says that there is nobody to tell
// (api.Missing), so that it reads anew whatever it builds upon.
type Work func(ctx context.Context) error

// ErrNotYet says that what the work needs is not there yet: it is called again later, though it is missing.
var ErrNotYet = errors.New("not there yet")

// Task is one thing to tell.
type Task struct {
	// Key names what it is about; a later task of the same key takes its place.
	Key string
	// Kind is told in metrics, such as status or event.
	Kind string
	// Droppable tasks make room for others, the oldest first, and are given up when the server refuses them
	// several times.
	Droppable bool
	// After is how long it rests first; so the words of a pod that is refused again and again become one.
	After time.Duration
	Do    Work
}

// Times bound the pauses.
type Times struct {
	// First is the pause after the first error; it doubles up to Most.
	First, Most time.Duration
	// Refused is the first pause of a task that the server refuses; it doubles up to MostRefused.
	Refused, MostRefused time.Duration
}

// DefaultTimes are right for a cluster.
func DefaultTimes() Times {
	return Times{First: 500 * time.Millisecond, Most: 30 * time.Second, Refused: 10 * time.Second, MostRefused: 10 * time.Minute}
}

// Outcome is what became of a task.
type Outcome string

// The outcomes. Told, Missing, Overflow and GivenUp end a task.
const (
	Told     Outcome = "told"
	Again    Outcome = "again"
	Missing  Outcome = "missing"
	Refused  Outcome = "refused"
	GivenUp  Outcome = "given up"
	Overflow Outcome = "overflow"
)

// Outcomes are all of them.
func Outcomes() []Outcome { return []Outcome{Told, Again, Missing, Refused, GivenUp, Overflow} }

// Options are what a queue is made of.
type Options struct {
	// Droppable is how many tasks of that kind are kept.
	Droppable int
	// Workers tell at a time; never two the same key.
	Workers int
	Times   Times
	// Observe is told what became of each try; err is nil when it went well. It neither waits nor puts anything in.
	Observe func(kind string, outcome Outcome, err error)
}

// Queue is what is to be told.
type Queue struct {
	options Options

	mutex sync.Mutex
	tasks map[string]*waiting
	// busy are the keys that workers are telling of; a newer task of the same key waits.
	busy map[string]bool
	// droppable counts those of the tasks that are.
	droppable int
	// number counts the tasks that were put in.
	number uint64
	// rest is until when the server is left alone; failures counts how often in a row it was not there.
	rest     time.Time
	failures int
	// bell wakes the workers.
	bell chan struct{}
}

// waiting is a task in the queue.
type waiting struct {
	Task
	// number is its place among the others.
	number uint64
	due    time.Time
	// tries are all; refusals are those that the server has refused, of which patience is a number.
	tries, refusals int
}

// New makes a queue; Run tells.
func New(o Options) *Queue {
	return &Queue{options: o, tasks: map[string]*waiting{}, busy: map[string]bool{}, bell: make(chan struct{}, 1)}
}

// Put puts a task in and returns at once. It takes the place of an earlier one of its key, which counts as told; one that
// is being told is told anew afterwards.
func (q *Queue) Put(task Task) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.number++
	one := &waiting{Task: task, number: q.number, due: time.Now().Add(task.After)}
	if before, ok := q.tasks[task.Key]; ok {
		q.remove(before)
		one.number = before.number // it has waited already
		if task.After == 0 || before.due.Before(one.due) && !q.busy[task.Key] {
			one.due = before.due
		}
		one.tries, one.refusals = before.tries, before.refusals
	}
	if task.Droppable && q.droppable >= q.options.Droppable {
		q.dropOldest()
	}
	q.tasks[task.Key] = one
	if task.Droppable {
		q.droppable++
	}
	q.ring()
}

// Demote makes a task droppable: what it tells of is over.
func (q *Queue) Demote(key string) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if one, ok := q.tasks[key]; ok && !one.Droppable {
		if q.droppable >= q.options.Droppable {
			q.dropOldest()
		}
		one.Droppable = true
		q.droppable++
	}
}

// Len counts the tasks of each kind.
func (q *Queue) Len() map[string]int {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	count := map[string]int{}
	for _, one := range q.tasks {
		count[one.Kind]++
	}
	return count
}

// remove takes a task out. The caller holds the mutex.
func (q *Queue) remove(one *waiting) {
	if q.tasks[one.Key] != one {
		return // another one has its place
	}
	delete(q.tasks, one.Key)
	if one.Droppable {
		q.droppable--
	}
}

// dropOldest makes room. The caller holds the mutex.
func (q *Queue) dropOldest() {
	var oldest *waiting
	for _, one := range q.tasks {
		if one.Droppable && !q.busy[one.Key] && (oldest == nil || one.number < oldest.number) {
			oldest = one
		}
	}
	if oldest != nil {
		q.remove(oldest)
		q.observe(oldest.Kind, Overflow, nil)
	}
}

func (q *Queue) observe(kind string, outcome Outcome, err error) {
	if q.options.Observe != nil {
		q.options.Observe(kind, outcome, err)
	}
}

// ring wakes a worker; one ring is enough, since each worker that takes a task rings for the next.
func (q *Queue) ring() {
	select {
	case q.bell <- struct{}{}:
	default:
	}
}
