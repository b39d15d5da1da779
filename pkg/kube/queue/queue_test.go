package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nri-sriov/nri-sriov/pkg/kube/api"
	"github.com/nri-sriov/nri-sriov/pkg/kube/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is a queue whose words are written down.
type room struct {
	*testing.T
	*queue.Queue

	mutex    sync.Mutex
	told     []string
	outcomes map[queue.Outcome]int
}

func newRoom(t *testing.T, droppable, workers int, first time.Duration) *room {
	r := &room{T: t, outcomes: map[queue.Outcome]int{}}
	r.Queue = queue.New(queue.Options{
		Droppable: droppable, Workers: workers,
		Times: queue.Times{First: first, Most: 8 * first, Refused: first, MostRefused: 8 * first},
		Observe: func(_ string, outcome queue.Outcome, _ error) {
			r.mutex.Lock()
			defer r.mutex.Unlock()
			r.outcomes[outcome]++
		},
	})
	return r
}

// run tells until the test ends.
func (r *room) run() {
	ctx, cancel := context.WithCancel(r.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Queue.Run(ctx)
	}()
	r.Cleanup(func() { cancel(); <-ended })
}

// says is work that writes a word down.
func (r *room) says(word string) queue.Work {
	return func(context.Context) error {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		r.told = append(r.told, word)
		return nil
	}
}

func (r *room) words() []string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return slices.Clone(r.told)
}

func (r *room) count(outcome queue.Outcome) int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.outcomes[outcome]
}

func (r *room) eventually(what string, holds func() bool) {
	r.Helper()
	for end := time.Now().Add(5 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("%s does not come: told %v, %v, waiting %v", what, r.words(), r.outcomes, r.Len())
		}
	}
}

// TestNewestWordOnly: of each thing the last word is told, in the order in which the things came.
func TestNewestWordOnly(t *testing.T) {
	r := newRoom(t, 10, 1, time.Millisecond)
	for i := range 3 {
		for _, key := range []string{"a", "b"} {
			r.Put(queue.Task{Key: key, Do: r.says(fmt.Sprint(key, i))})
		}
	}
	r.run()
	r.eventually("the end", func() bool { return len(r.Len()) == 0 })
	if told := r.words(); !slices.Equal(told, []string{"a2", "b2"}) {
		t.Errorf("told %v", told)
	}
}

// TestOverflow: the oldest that may be dropped makes room, and what may not is kept however much there is.
func TestOverflow(t *testing.T) {
	r := newRoom(t, 3, 1, time.Millisecond)
	var want []string
	for i := range 50 {
		kept, dropped := fmt.Sprint("kept", i), fmt.Sprint("event", i)
		r.Put(queue.Task{Key: kept, Kind: "status", Do: r.says(kept)})
		r.Put(queue.Task{Key: dropped, Kind: "event", Droppable: true, Do: r.says(dropped)})
		if want = append(want, kept); i >= 47 {
			want = append(want, dropped)
		}
	}
	if length := r.Len(); length["status"] != 50 || length["event"] != 3 || r.count(queue.Overflow) != 47 {
		t.Errorf("waiting %v, %v", length, r.outcomes)
	}
	r.Demote("kept0")
	if length := r.Len(); length["status"] != 50 || length["event"] != 2 {
		t.Errorf("after one is over: %v", length)
	}
	r.Put(queue.Task{Key: "event50", Kind: "event", Droppable: true, Do: r.says("event50")})
	if length := r.Len(); length["status"] != 49 || length["event"] != 3 {
		t.Errorf("what is over does not make room: %v", length)
	}
	r.run()
	r.eventually("the end", func() bool { return len(r.Len()) == 0 })
	want = append(slices.DeleteFunc(want, func(one string) bool { return one == "event47" || one == "kept0" }), "event50")
	if told := r.words(); !slices.Equal(told, want) {
		t.Errorf("told %v, not %v", told, want)
	}
}

// TestNeverTwiceAtATime: a newer word waits for the older one of the same thing, while others go on.
func TestNeverTwiceAtATime(t *testing.T) {
	r := newRoom(t, 10, 4, time.Millisecond)
	begun, end := make(chan struct{}), make(chan struct{})
	r.Put(queue.Task{Key: "a", Do: func(ctx context.Context) error {
		close(begun)
		<-end
		return r.says("a0")(ctx)
	}})
	r.run()
	<-begun
	r.Put(queue.Task{Key: "a", Do: r.says("a1")})
	r.Put(queue.Task{Key: "b", Do: r.says("b")})
	r.eventually("b", func() bool { return slices.Contains(r.words(), "b") })
	time.Sleep(20 * time.Millisecond)
	close(end)
	r.eventually("the end", func() bool { return len(r.Len()) == 0 })
	if told := r.words(); !slices.Equal(told, []string{"b", "a0", "a1"}) {
		t.Errorf("told %v", told)
	}
}

// TestServerAway: while it is, it is asked one thing at a time at growing intervals; afterwards everything is told.
func TestServerAway(t *testing.T) {
	const first = 10 * time.Millisecond
	r := newRoom(t, 10, 4, first)
	var mutex sync.Mutex
	var tries []time.Time
	at, most, away := 0, 0, true
	for i := range 20 {
		r.Put(queue.Task{Key: fmt.Sprint(i), Do: func(ctx context.Context) error {
			mutex.Lock()
			at++
			most = max(most, at)
			tries = append(tries, time.Now())
			gone := away
			mutex.Unlock()
			time.Sleep(time.Millisecond)
			mutex.Lock()
			at--
			mutex.Unlock()
			if gone {
				return errors.New("no route to host")
			}
			return r.says("told")(ctx)
		}})
	}
	r.run()
	time.Sleep(40 * first)
	mutex.Lock()
	// 4 at first, which all find out, then after 5 to 10 ms, 10 to 20 ms and so on up to 80 ms.
	if len(tries) < 5 || len(tries) > 4+16 {
		t.Errorf("asked %d times", len(tries))
	}
	most, away = 0, false
	mutex.Unlock()
	r.eventually("the end", func() bool { return len(r.Len()) == 0 })
	if len(r.words()) != 20 || r.count(queue.Told) != 20 {
		t.Errorf("told %d: %v", len(r.words()), r.outcomes)
	}
}

// TestOneAtATimeWhileAway: once the server was not there, no second request goes out beside one that finds out.
func TestOneAtATimeWhileAway(t *testing.T) {
	r := newRoom(t, 10, 4, time.Millisecond)
	var mutex sync.Mutex
	at, most, tries := 0, 0, 0
	fail := func(context.Context) error {
		mutex.Lock()
		tries++
		at++
		if tries > 4 {
			most = max(most, at)
		}
		mutex.Unlock()
		time.Sleep(3 * time.Millisecond)
		mutex.Lock()
		at--
		mutex.Unlock()
		return errors.New("connection refused")
	}
	for i := range 20 {
		r.Put(queue.Task{Key: fmt.Sprint(i), Do: fail})
	}
	r.run()
	r.eventually("some tries", func() bool { mutex.Lock(); defer mutex.Unlock(); return tries > 12 })
	mutex.Lock()
	defer mutex.Unlock()
	if most != 1 {
		t.Errorf("%d at a time", most)
	}
}

// TestRefusals: a conflict is tried again soon, what is missing ends, what is refused is given up only where it may be.
func TestRefusals(t *testing.T) {
	r := newRoom(t, 10, 1, time.Millisecond)
	tries := map[string]int{}
	answers := func(key string, codes ...int) queue.Work {
		return func(context.Context) error {
			r.mutex.Lock()
			defer r.mutex.Unlock()
			at := tries[key]
			tries[key]++
			if at < len(codes) {
				return fmt.Errorf("patch: %w", &api.Refusal{Code: codes[at]})
			}
			return nil
		}
	}
	r.Put(queue.Task{Key: "conflict", Do: answers("conflict", 409, 409)})
	r.Put(queue.Task{Key: "gone", Do: answers("gone", 404, 404)})
	r.Put(queue.Task{Key: "forbidden status", Do: answers("forbidden status", 403, 403, 422, 403, 403, 403)})
	r.Put(queue.Task{Key: "forbidden event", Droppable: true, Do: answers("forbidden event", 403, 403, 403, 403, 403, 403)})
	r.Put(queue.Task{Key: "late event", Droppable: true, Do: answers("late event", 403, 503, 429)})
	// An API server that was away answers 403 until it has its RBAC.
	r.Put(queue.Task{Key: "patient event", Droppable: true, Do: answers("patient event", 503, 503, 503, 503, 503, 403, 403, 503, 403)})
	r.run()
	r.eventually("the end", func() bool { return len(r.Len()) == 0 })
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if text := fmt.Sprint(tries); text != "map[conflict:3 forbidden event:4 forbidden status:7 gone:1 late event:4 patient event:10]" {
		t.Errorf("tried %s", text)
	}
	if r.outcomes[queue.GivenUp] != 1 || r.outcomes[queue.Missing] != 1 || r.outcomes[queue.Told] != 4 {
		t.Errorf("outcomes %v", r.outcomes)
	}
}

// TestRetryAfter: the server is left alone for as long as it wants, by all.
func TestRetryAfter(t *testing.T) {
	const wants = 80 * time.Millisecond
	r := newRoom(t, 10, 1, time.Millisecond)
	var refused time.Time
	again := make(chan time.Time, 2)
	r.Put(queue.Task{Key: "a", Do: func(context.Context) error {
		if refused.IsZero() {
			refused = time.Now()
			return &api.Refusal{Code: 429, RetryAfter: wants}
		}
		again <- time.Now()
		return nil
	}})
	r.Put(queue.Task{Key: "b", Do: func(context.Context) error { again <- time.Now(); return nil }})
	r.run()
	for range 2 {
		if waited := (<-again).Sub(refused); waited < wants {
			t.Errorf("asked again after %v", waited)
		}
	}
}

// TestMissingYet: what is not there yet is waited for, for as long as its pod lives.
func TestMissingYet(t *testing.T) {
	r := newRoom(t, 10, 1, time.Millisecond)
	var mutex sync.Mutex
	tries := 0
	r.Put(queue.Task{Key: "a", Do: func(context.Context) error {
		mutex.Lock()
		defer mutex.Unlock()
		tries++
		return queue.ErrNotYet
	}})
	r.run()
	r.eventually("some tries", func() bool { mutex.Lock(); defer mutex.Unlock(); return tries > 3 })
	r.Demote("a")
	r.eventually("the end", func() bool { return len(r.Len()) == 0 })
}

// TestPutNeverWaits: whatever the workers wait for.
func TestPutNeverWaits(t *testing.T) {
	r := newRoom(t, 1000, 2, time.Millisecond)
	stuck := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	r.run()
	begun := time.Now()
	for i := range 2000 {
		r.Put(queue.Task{Key: fmt.Sprint(i), Droppable: i%2 == 0, Do: stuck})
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("2000 took %v", took)
	}
}
