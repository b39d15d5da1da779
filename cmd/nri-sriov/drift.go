package main

import (
	"fmt"
	"strings"

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

func driftOf(attacher *attach.Attacher) driftList {
	list := driftList{Drifted: []driftView{}}
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
