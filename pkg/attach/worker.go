package attach

import (
	"context"
	"sync"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// workers do the kernel's work, one piece at a time per PF: drivers answer concurrent changes of one PF with EAGAIN,
// and moves gain nothing from running beside each other. A PF that hangs holds up its own VFs and nothing else.
type workers struct {
	mutex sync.Mutex
	byPF  map[vf.PCIAddress]*worker
}

type worker struct {
	queue []*piece
	busy  bool
}

type piece struct {
	do   func() error
	done chan error
}

func newWorkers() *workers { return &workers{byPF: map[vf.PCIAddress]*worker{}} }

// Do runs a piece of work when its PF is free, in the order of arrival, and waits for it. When ctx ends before the
// piece has begun it is never begun; one that has begun is waited for, because what it changes must be known.
func (w *workers) Do(ctx context.Context, pf vf.PCIAddress, do func() error) error {
	p := &piece{do: do, done: make(chan error, 1)}
	w.mutex.Lock()
	one, ok := w.byPF[pf]
	if !ok {
		one = &worker{}
		w.byPF[pf] = one
	}
	one.queue = append(one.queue, p)
	if !one.busy {
		one.busy = true
		go w.run(one)
	}
	w.mutex.Unlock()
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
	}
	if w.withdraw(one, p) {
		return ctx.Err()
	}
	return <-p.done
}

func (w *workers) run(one *worker) {
	for {
		w.mutex.Lock()
		if len(one.queue) == 0 {
			one.busy = false
			w.mutex.Unlock()
			return
		}
		next := one.queue[0]
		one.queue = one.queue[1:]
		w.mutex.Unlock()
		next.done <- next.do()
	}
}

// withdraw takes a piece out of the queue and answers whether it was still there.
func (w *workers) withdraw(one *worker, p *piece) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for i, each := range one.queue {
		if each == p {
			one.queue = append(one.queue[:i:i], one.queue[i+1:]...)
			return true
		}
	}
	return false
}

// atWork lists the PFs whose workers are busy.
func (w *workers) atWork() []vf.PCIAddress {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	var busy []vf.PCIAddress
	for pf, one := range w.byPF {
		if one.busy {
			busy = append(busy, pf)
		}
	}
	return busy
}
