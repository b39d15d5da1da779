package main

import "testing"

func TestAppeared(t *testing.T) {
	for event, want := range map[string]string{
		"add@/devices/x\x00ACTION=add\x00SUBSYSTEM=net\x00INTERFACE=eth1\x00IFINDEX=4": "eth1",
		"move@/devices/x\x00ACTION=move\x00SUBSYSTEM=net\x00INTERFACE=pf0":             "",
		"add@/devices/x\x00ACTION=add\x00SUBSYSTEM=pci\x00INTERFACE=eth1":              "",
		"": "",
	} {
		if got := appeared([]byte(event)); got != want {
			t.Errorf("%q: got %q, want %q", event, got, want)
		}
	}
}
