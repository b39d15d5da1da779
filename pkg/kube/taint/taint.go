package taint

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

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

// Tainter has the node bear the taint, or not.
type Tainter struct {
	client *api.Client
	queue  *queue.Queue
	node   string

	mutex sync.Mutex
	// known tells whether anything was wanted yet, wanted what.
	known, wanted bool
}

// New makes a tainter of a node; nothing is asked or changed before Want.
func New(client *api.Client, q *queue.Queue, node string) *Tainter {
	return &Tainter{client: client, queue: q, node: node}
}

// Want says whether the node is to bear the taint, and returns at once. What was wanted before is not asked for again.
func (t *Tainter) Want(tainted bool) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.known && t.wanted == tainted {
		return
	}
	t.known, t.wanted = true, tainted
	t.queue.Put(queue.Task{Key: Kind, Kind: Kind, Do: func(ctx context.Context) error { return write(ctx, t.client, t.node, tainted) }})
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
