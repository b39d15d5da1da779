package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
)

// driftList is what `nri-sriov check --live -o json` prints.
type driftList struct {
	// Attached counts the attachments that were compared.
	Attached int         `json:"attached"`
	Drifted  []driftView `json:"drifted"`
}

type driftView struct {
	Sandbox     string   `json:"sandbox"`
	Namespace   string   `json:"namespace"`
	Name        string   `json:"name"`
	Network     string   `json:"network"`
	Interface   string   `json:"interface"`
	PCIAddress  string   `json:"pciAddress"`
	Differences []string `json:"differences"`
}

// driftEvery is how often attachments are compared with the kernel, for the metric.
const driftEvery = time.Minute

// drift compares attachments with what pods were given, and remembers how many differed: to look takes netlink reads of each
// PF and a run of each IPAM plugin, which no scrape waits for.
type drift struct {
	attacher *attach.Attacher
	// drifted is one more than how many there were; 0 while nobody has looked.
	drifted atomic.Int64
}

// last is what the last look has found.
func (d *drift) last() (drifted int, known bool) {
	found := d.drifted.Load()
	return int(found - 1), found > 0
}

// follow looks again and again until ctx ends.
func (d *drift) follow(ctx context.Context) {
	for {
		d.look()
		select {
		case <-ctx.Done():
			return
		case <-time.After(driftEvery):
		}
	}
}

// look compares all attachments.
func (d *drift) look() driftList {
	list := driftList{Drifted: []driftView{}}
	attacher := d.attacher
	for _, pod := range attacher.Pods() {
		for _, one := range pod.Attachments {
			if one.State == attach.Attached {
				list.Attached++
			}
		}
	}
	for _, one := range attacher.Drift() {
		list.Drifted = append(list.Drifted, driftView{
			Sandbox: one.Sandbox.ID, Namespace: one.Sandbox.Namespace, Name: one.Sandbox.Name, Network: one.Attachment.Network,
			Interface: one.Attachment.Interface, PCIAddress: one.Attachment.Address.String(), Differences: one.Differences,
		})
	}
	d.drifted.Store(int64(len(list.Drifted)) + 1)
	return list
}

func (l driftList) text() string {
	var text strings.Builder
	for _, one := range l.Drifted {
		fmt.Fprintf(&text, "%-8s %s/%s %s (network %s, %s): %s\n", "failure", one.Namespace, one.Name, one.Interface, one.Network,
			one.PCIAddress, strings.Join(one.Differences, "; "))
	}
	fmt.Fprintf(&text, "%d attachments compared with the kernel, %d differ.\n", l.Attached, len(l.Drifted))
	return text.String()
}
