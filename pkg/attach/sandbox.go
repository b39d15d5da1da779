package attach

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Sandbox is what the runtime tells of a pod's sandbox.
type Sandbox struct {
	ID        string `json:"id"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	// NetNS is the path of its network namespace; empty for a host-network pod.
	NetNS string `json:"netns"`
	// NetNSInode tells the namespace from a later one at the same path.
	NetNSInode uint64 `json:"netnsInode"`
	// PID is the sandbox's first process, 0 when the runtime does not tell. PIDStart, in clock ticks after the boot,
	// tells it from a later one; it is 0 for a pod that has a network namespace, and while it is not known.
	PID      int    `json:"pid,omitempty"`
	PIDStart uint64 `json:"pidStart,omitempty"`
	// NUMANodes are those of the pod's CPUs, where the runtime tells.
	NUMANodes []int `json:"numaNodes,omitempty"`
}

// podNamespace opens the sandbox's network namespace. A host-network pod has none, and nothing to be moved into one.
func (a *Attacher) podNamespace(e *entry) (*vf.Namespace, error) {
	if e.sandbox.NetNS == "" && e.sandbox.PID != 0 && e.needsNone() {
		return nil, nil
	}
	ns, err := a.open(e.sandbox.NetNS)
	if err != nil {
		return nil, fmt.Errorf("the pod's network namespace: %w", err)
	}
	if ns.Inode() == a.host {
		return nil, errors.Join(fmt.Errorf("the pod's network namespace %s is the host's", e.sandbox.NetNS), ns.Close())
	}
	return ns, nil
}

// needsNone tells whether nothing of a sandbox goes into its network namespace.
func (e *entry) needsNone() bool {
	return !slices.ContainsFunc(e.wants, func(want Want) bool { return want.Device != config.DeviceVFIO }) &&
		!slices.ContainsFunc(e.attachments, func(one Attachment) bool { return one.Device != config.DeviceVFIO })
}

// identify writes down by what the sandbox is told from a later one, and has its end told.
func (a *Attacher) identify(e *entry, ns *vf.Namespace) {
	if ns != nil {
		e.sandbox.NetNSInode = ns.Inode()
		a.followEnd(e)
		return
	}
	if start, err := vf.ProcessStart(e.sandbox.PID); err == nil && vf.SeesProcesses() {
		e.sandbox.PIDStart = start
	}
}

// followEnd has the end of the sandbox's network namespace told.
func (a *Attacher) followEnd(e *entry) {
	if a.follow != nil && e.sandbox.NetNS != "" {
		a.follow(e.sandbox.NetNS)
	}
}

// ended tells whether the sandbox is over: its network namespace is gone or, where it has none of its own, its first
// process. While in doubt it is not.
func (a *Attacher) ended(e *entry) bool {
	if e.sandbox.NetNS == "" {
		start, err := vf.ProcessStart(e.sandbox.PID)
		known := e.sandbox.PIDStart != 0 && vf.SeesProcesses()
		return known && (errors.Is(err, vf.ErrNoProcess) || err == nil && start != e.sandbox.PIDStart)
	}
	inode, err := vf.NamespaceInode(e.sandbox.NetNS)
	if err != nil {
		return errors.Is(err, vf.ErrNoNamespace)
	}
	return e.sandbox.NetNSInode != 0 && inode != e.sandbox.NetNSInode
}

// letGo closes the namespace of an entry.
func (e *entry) letGo() {
	closeNamespace(e.ns)
	e.ns = nil
}

func closeNamespace(ns *vf.Namespace) {
	if ns != nil {
		_ = ns.Close() // nothing was written through it
	}
}
