package queue

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/kube/api"
)

// Run tells until ctx ends. What has not been told by then is forgotten: whoever starts again says again what is true.
func (q *Queue) Run(ctx context.Context) {
	var workers sync.WaitGroup
	for range max(1, q.options.Workers) {
		workers.Go(func() { q.work(ctx) })
	}
	workers.Wait()
}

func (q *Queue) work(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		one, pause := q.take()
		if one != nil {
			q.settle(one, one.Do(ctx), ctx.Err() != nil)
			q.ring()
			if ctx.Err() != nil {
				return
			}
			continue
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return
		case <-q.bell:
		case <-timer.C:
		}
	}
}

// idle is how long a worker sleeps that has nothing to wait for.
const idle = time.Hour

// take takes the task that is due for the longest, else tells how long the next one takes. While the server is away one
// task at a time finds out whether it is back.
func (q *Queue) take() (next *waiting, pause time.Duration) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	now := time.Now()
	pause = idle
	if wait := q.rest.Sub(now); wait > 0 {
		return nil, wait
	}
	if q.failures > 0 && len(q.busy) > 0 {
		return nil, idle // it rings when it knows
	}
	for _, one := range q.tasks {
		if q.busy[one.Key] {
			continue
		}
		if wait := one.due.Sub(now); wait > 0 {
			pause = min(pause, wait)
		} else if next == nil || one.number < next.number {
			next = one
		}
	}
	if next == nil {
		return nil, pause
	}
	q.busy[next.Key] = true
	q.ring()
	return next, 0
}

// patience is how often a droppable task may be refused: while the server starts, it refuses what it will allow. How often it
// was away before does not count.
const patience = 4

// settle takes note of what became of a task.
func (q *Queue) settle(one *waiting, err error, ending bool) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	delete(q.busy, one.Key)
	if ending {
		return
	}
	one.tries++
	fault, wants := api.FaultOf(err)
	if err != nil && fault == api.Refused {
		one.refusals++
	}
	switch {
	case err == nil:
		q.failures = 0
		q.end(one, Told, nil)
	case errors.Is(err, ErrNotYet) && one.Droppable:
		q.failures = 0
		q.end(one, Missing, err)
	case errors.Is(err, ErrNotYet):
		q.failures = 0
		q.again(one, Again, err, jittered(q.options.Times.First, q.options.Times.MostRefused, one.tries))
	case fault == api.Missing:
		q.failures = 0
		q.end(one, Missing, err)
	case fault == api.Conflict:
		q.failures = 0
		q.again(one, Again, err, jittered(q.options.Times.First/8, q.options.Times.Most, one.tries))
	case fault == api.Refused && one.Droppable && one.refusals >= patience:
		q.failures = 0
		q.end(one, GivenUp, err)
	case fault == api.Refused:
		q.failures = 0
		q.again(one, Refused, err, jittered(max(wants, q.options.Times.Refused), q.options.Times.MostRefused, one.refusals))
	default:
		q.failures++
		q.rest = time.Now().Add(max(wants, jittered(q.options.Times.First, q.options.Times.Most, q.failures)))
		q.again(one, Again, err, jittered(q.options.Times.First, q.options.Times.Most, one.tries))
	}
}

// end takes a task off, unless a newer one has its place.
func (q *Queue) end(one *waiting, outcome Outcome, err error) {
	q.remove(one)
	q.observe(one.Kind, outcome, err)
}

// again has a task tried once more, behind the others. A newer one in its place goes on from its tries.
func (q *Queue) again(one *waiting, outcome Outcome, err error, pause time.Duration) {
	q.observe(one.Kind, outcome, err)
	now, ok := q.tasks[one.Key]
	if !ok {
		return
	}
	q.number++
	now.number, now.tries, now.refusals = q.number, one.tries, one.refusals
	now.due = time.Now().Add(pause)
}

// jittered is a pause that doubles with each try, less up to a half, so that the nodes of a cluster do not come all at
// once when its API server is back.
func jittered(first, most time.Duration, tries int) time.Duration {
	pause := first << min(max(tries-1, 0), 20)
	if pause > most || pause <= 0 {
		pause = most
	}
	return pause/2 + rand.N(pause/2+1)
}
