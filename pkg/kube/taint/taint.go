package taint

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/kube/api"
	"github.com/nri-sriov/nri-sriov/pkg/kube/queue"
)

// The taint while the node cannot serve pods that ask for VFs.
const (
	Key    = "sriov.nri.io/not-ready"
	Effect = "NoSchedule"
)

// Kind is what the task is called in the queue.
const Kind = "taint"

// A Node may be deleted and registered anew, and a person may take the taint away: what is wanted is looked at again after
// lookAgain. A Node that is not there may come at any time, and pods with it: it is looked for again after lookFor.
const (
	lookAgain = time.Minute
	lookFor   = 10 * time.Second
)

// Tainter has the node bear the taint, or not.
type Tainter struct {
	client             *api.Client
	queue              *queue.Queue
	node               string
	lookAgain, lookFor time.Duration

	mutex sync.Mutex
	// known tells whether anything was wanted yet, wanted what.
	known, wanted bool
	// waiting tells that the queue has the task still; due is when it gets it again, once it has not.
	waiting bool
	due     time.Time
}

// New makes a tainter of a node; nothing is asked or changed before Want.
func New(client *api.Client, q *queue.Queue, node string) *Tainter {
	return &Tainter{client: client, queue: q, node: node, lookAgain: lookAgain, lookFor: lookFor}
}

// Want says whether the node is to bear the taint, and returns at once. It is called again and again: whether the node is as
// was wanted before is looked at about once a minute.
func (t *Tainter) Want(tainted bool) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.known && t.wanted == tainted && (t.waiting || time.Now().Before(t.due)) {
		return
	}
	t.known, t.wanted, t.waiting = true, tainted, true
	t.queue.Put(queue.Task{Key: Kind, Kind: Kind, Do: func(ctx context.Context) error {
		err := write(ctx, t.client, t.node, tainted)
		t.looked(tainted, err)
		return err
	}})
}

// looked takes note of what became of a look at the node. After another error the queue tries again by itself.
func (t *Tainter) looked(tainted bool, err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.wanted != tainted {
		return // something else is wanted by now, and waits
	}
	fault, _ := api.FaultOf(err)
	switch {
	case err == nil:
		t.waiting, t.due = false, time.Now().Add(t.lookAgain)
	case fault == api.Missing:
		t.waiting, t.due = false, time.Now().Add(t.lookFor)
	}
}

// object is the part of a node that is looked at; the taints of others stay byte for byte.
type object struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Spec struct {
		Taints []json.RawMessage `json:"taints"`
	} `json:"spec"`
}

// ours tells whether a taint is ours, whatever its value.
func ours(taint json.RawMessage) (bool, error) {
	var read struct{ Key, Effect string }
	if err := json.Unmarshal(taint, &read); err != nil {
		return false, fmt.Errorf("read a taint of the node: %w", err)
	}
	return read.Key == Key && read.Effect == Effect, nil
}

// write changes what was read, and is refused as a conflict where somebody else has changed the node meanwhile.
func write(ctx context.Context, client *api.Client, node string, tainted bool) error {
	var read object
	path := api.Path("nodes", node)
	if err := client.Read(ctx, path, &read); err != nil {
		return err
	}
	var wrong error
	at := slices.IndexFunc(read.Spec.Taints, func(taint json.RawMessage) bool {
		mine, err := ours(taint)
		wrong = err
		return mine || err != nil
	})
	if wrong != nil || at >= 0 == tainted {
		return wrong
	}
	taints := slices.Clone(read.Spec.Taints)
	if tainted {
		taints = append(taints, json.RawMessage(`{"key":"`+Key+`","effect":"`+Effect+`"}`))
	} else {
		taints = slices.Delete(taints, at, at+1)
	}
	var value any = taints
	if len(taints) == 0 {
		value = nil
	}
	return client.Patch(ctx, path, map[string]any{
		"metadata": map[string]any{"resourceVersion": read.Metadata.ResourceVersion},
		"spec":     map[string]any{"taints": value},
	})
}
