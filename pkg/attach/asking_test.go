package attach_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// oracle answers questions when it is told to.
type oracle struct {
	asked  atomic.Int32
	answer chan []attach.Want
}

func newOracle() *oracle { return &oracle{answer: make(chan []attach.Want, 10)} }

// sure is one that has the same answer many times: how many are taken before a VF is free depends on who comes first, the
// attempt or the gate.
func sure(wants ...attach.Want) *oracle {
	o := newOracle()
	for range cap(o.answer) {
		o.answer <- wants
	}
	return o
}

func (o *oracle) ask(ctx context.Context) ([]attach.Want, error) {
	o.asked.Add(1)
	select {
	case wants := <-o.answer:
		return wants, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", attach.ErrUnanswered, ctx.Err())
	}
}

// from is a want of the VF that was given for a resource.
func from(id int, name string) attach.Want {
	w := want(100, name)
	w.Resource, w.From = "sriov.nri.io/public", []vf.PCIAddress{attachtest.VFAddress(0, id)}
	return w
}

func (b *bench) promise(ids ...int) {
	all := map[vf.PCIAddress][]string{}
	for _, id := range ids {
		all[attachtest.VFAddress(0, id)] = []string{"sriov.nri.io/public"}
	}
	b.pool.Promise(all)
}

func brief(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// TestAnswerIsWaitedFor: nothing is claimed before it is there, and then what it says.
func TestAnswerIsWaitedFor(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	b.promise(1)
	o := newOracle()
	if err := b.AttachAsking(sandbox("a"), []attach.Want{want(100, "net1")}, false, o.ask); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Ready(brief(t), "a"); !errors.Is(err, attach.ErrUnanswered) {
		t.Errorf("the gate says %v", err)
	}
	o.answer <- []attach.Want{from(1, "net1")}
	if got := b.mustReady("a"); len(got) != 1 || got[0].Address != attachtest.VFAddress(0, 1) {
		t.Errorf("%+v", got)
	}
	b.promise()
	b.Release("a")
	b.eventually("")
	if asked := o.asked.Load(); asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// TestNothingIsForgotten: of a sandbox that is to have nothing, nothing is kept.
func TestNothingIsForgotten(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	o := newOracle()
	o.answer <- nil
	if err := b.AttachAsking(sandbox("a"), nil, false, o.ask); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Ready(t.Context(), "a"); !errors.Is(err, attach.ErrUnknownSandbox) {
		t.Errorf("the gate says %v", err)
	}
	b.gone("a")
	if left := append(b.files("results"), b.files("sandboxes")...); len(left) != 0 || len(b.Pods()) != 0 {
		t.Errorf("traces left: %v, %+v", left, b.Pods())
	}
}

// TestReleaseEndsTheQuestion, and nothing is claimed by an answer that comes in the same moment.
func TestReleaseEndsTheQuestion(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	for i := range 20 {
		id, o := fmt.Sprint("s", i), newOracle()
		if err := b.AttachAsking(sandbox(id), nil, false, o.ask); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			o.answer <- []attach.Want{want(100, "net1")}
		}
		b.Release(id)
		b.gone(id)
	}
	b.eventually("")
}

// TestLateAnswerIsWaitedFor longer than any attach: the kubelet may start long after the daemon.
func TestLateAnswerIsWaitedFor(t *testing.T) {
	world := attachtest.NewWorld(1, 1)
	b := startWith(t, world, world, t.TempDir(), func(o *attach.Options) { o.Times.Attach = 500 * time.Millisecond })
	o := newOracle()
	if refused := b.Reconcile([]attach.Live{{Sandbox: sandbox("a"), Ask: o.ask}}); len(refused) != 0 {
		t.Fatal(refused)
	}
	time.Sleep(600 * time.Millisecond)
	o.answer <- []attach.Want{want(100, "net1")}
	b.eventually("0000:01:10.0 attached a\n0000:01:10.0 net1 in \"pod\" vlan 100")
}

// TestRecordIsNotAskedAbout: what is written down needs no answer; when it is lost, there is one.
func TestRecordIsNotAskedAbout(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	b.promise(1)
	o := newOracle()
	o.answer <- []attach.Want{from(1, "net1")}
	if err := b.AttachAsking(sandbox("a"), nil, false, o.ask); err != nil {
		t.Fatal(err)
	}
	b.mustReady("a")
	after := restart(b)
	again := newOracle()
	after.Reconcile([]attach.Live{{Sandbox: sandbox("a"), Ask: again.ask}})
	if got := after.mustReady("a"); len(got) != 1 || got[0].Address != attachtest.VFAddress(0, 1) || again.asked.Load() != 0 {
		t.Errorf("%+v, asked %d times", got, again.asked.Load())
	}
	after.Release("a")
	after.eventually("")
}

// TestRefusedAnswerIsAskedAnew: what cannot be had now may be had when the next container is tried.
func TestRefusedAnswerIsAskedAnew(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	b.mustAttach("other", want(200, "net1"))
	b.promise(0)
	o := sure(from(0, "net1"))
	if err := b.AttachAsking(sandbox("a"), nil, false, o.ask); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Ready(t.Context(), "a"); !errors.Is(err, inventory.ErrNotToBeHad) || !strings.Contains(err.Error(), "is in use by sandbox other") {
		t.Fatalf("the gate says %v", err)
	}
	b.Release("other")
	b.gone("other")
	if got := b.mustReady("a"); got[0].Address != attachtest.VFAddress(0, 0) {
		t.Errorf("%+v", got)
	}
	b.promise()
}

// TestRefusedSandboxKeepsItsQuestion: a config that refuses a pod for a while does not have it served from what is free.
func TestRefusedSandboxKeepsItsQuestion(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	b.mustAttach("other", want(200, "net1"))
	b.promise(0)
	o := sure(from(0, "net1"))
	if err := b.AttachAsking(sandbox("a"), nil, false, o.ask); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Ready(t.Context(), "a"); !errors.Is(err, inventory.ErrNotToBeHad) {
		t.Fatalf("the gate says %v", err)
	}
	refused := []attach.Live{
		{Sandbox: sandbox("other"), Wants: []attach.Want{want(200, "net1")}}, {Sandbox: sandbox("a"), Ask: o.ask, Refused: true},
		{Sandbox: sandbox("stranger"), Ask: o.ask, Refused: true},
	}
	if late := b.Reconcile(refused); len(late) != 0 || b.Known("stranger") {
		t.Errorf("%v, known: %v", late, b.Known("stranger"))
	}
	b.Reconcile([]attach.Live{refused[0], {Sandbox: sandbox("a"), Refused: true}}) // it cannot even be asked about
	b.Revise("a", []attach.Want{want(100, "net1")}, false)
	if got, err := b.Ready(t.Context(), "a"); err == nil {
		t.Fatalf("it is served without the kubelet: %+v", got)
	}
	b.Release("other")
	b.gone("other")
	if got := b.mustReady("a"); got[0].Address != attachtest.VFAddress(0, 0) {
		t.Errorf("%+v", got)
	}
	b.promise()
}

// TestCorrectedAnswer: what a sandbox has by an answer is given back when it is another by now, while none of its containers
// can run; then it is asked anew.
func TestCorrectedAnswer(t *testing.T) {
	now := []attach.Want{from(1, "net1")}
	for _, c := range []struct {
		name   string
		before func(b *bench, o *oracle) *bench
		want   int
	}{
		{"no container", func(b *bench, _ *oracle) *bench { return b }, 1},
		{"a container", func(b *bench, _ *oracle) *bench {
			if err := b.Admit("a", b.mustReady("a")); err != nil {
				t.Error(err)
			}
			return b
		}, 0},
		{"a container without VF", func(b *bench, _ *oracle) *bench {
			if err := b.Admit("a", nil); err != nil {
				t.Error(err)
			}
			return b
		}, 0},
		{"listed by the runtime", func(b *bench, o *oracle) *bench {
			b.Reconcile([]attach.Live{{Sandbox: sandbox("a"), Ask: o.ask}})
			return b
		}, 0},
		{"recorded", func(b *bench, o *oracle) *bench {
			after := restart(b)
			after.Reconcile([]attach.Live{{Sandbox: sandbox("a"), Ask: o.ask}})
			return after
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, o := start(t, attachtest.NewWorld(1, 2), t.TempDir()), newOracle()
			b.promise(1)
			o.answer <- []attach.Want{want(100, "net1")}
			if err := b.AttachAsking(sandbox("a"), []attach.Want{want(100, "net1")}, false, o.ask); err != nil {
				t.Fatal(err)
			}
			had := b.mustReady("a")
			b = c.before(b, o)
			b.mustReady("a")
			if b.Correct("a", []attach.Want{want(100, "net1")}) {
				t.Error("the same answer corrects something")
			}
			if got := b.Correct("a", now); got != (c.want == 1) {
				t.Fatalf("corrected: %v", got)
			}
			if c.want == 1 {
				if err := b.Admit("a", had); !errors.Is(err, attach.ErrAtWork) {
					t.Errorf("a container that had waited is let through: %v", err)
				}
				o.answer <- now
				for _, err := b.Ready(t.Context(), "a"); errors.Is(err, attach.ErrCorrected); _, err = b.Ready(t.Context(), "a") {
					time.Sleep(time.Millisecond) // until it is back
				}
			}
			if got := b.mustReady("a"); got[0].Address != attachtest.VFAddress(0, c.want) {
				t.Errorf("%+v", got)
			}
			b.promise()
			b.Release("a")
			b.eventually("")
		})
	}
}
