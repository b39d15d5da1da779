package attach

import (
	"slices"
	"strings"
)

// Pod is a sandbox with its attachments, as people see it.
type Pod struct {
	Sandbox     Sandbox
	Err         error
	Attachments []Attachment
}

// Pods lists the sandboxes by namespace, name and id.
func (a *Attacher) Pods() []Pod {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	var pods []Pod
	for _, e := range a.entries {
		if e.unasked() {
			continue
		}
		attachments := slices.Clone(e.attachments)
		if len(attachments) == 0 {
			attachments = e.promised()
		}
		pods = append(pods, Pod{Sandbox: e.sandbox, Err: e.err, Attachments: attachments})
	}
	slices.SortFunc(pods, func(a, b Pod) int {
		return strings.Compare(a.Sandbox.Namespace+"/"+a.Sandbox.Name+"/"+a.Sandbox.ID, b.Sandbox.Namespace+"/"+b.Sandbox.Name+"/"+b.Sandbox.ID)
	})
	return pods
}

// promised shows what a sandbox waits for, or failed to get, before it has VFs.
func (e *entry) promised() []Attachment {
	var attachments []Attachment
	for _, want := range e.wants {
		for _, name := range want.Interfaces {
			one := Attachment{Network: want.Network, Interface: name, State: Waiting, CNIVersion: want.CNIVersion}
			if e.phase == failed {
				one.State, one.Error = Failed, e.err.Error()
			}
			attachments = append(attachments, one)
		}
	}
	return attachments
}
