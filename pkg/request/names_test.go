package request

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// checkPod holds a parsed pod against all that Pod promises.
func checkPod(t interface{ Errorf(string, ...any) }, pod Pod) {
	seen := map[string]bool{}
	for i, group := range pod.Groups {
		if err := config.CheckNetworkName(group.Network); err != nil || len(group.Interfaces) == 0 {
			t.Errorf("group %d is %+v, %v", i, group, err)
		}
		for _, name := range group.Interfaces {
			if err := checkName(name); err != nil || seen[name] {
				t.Errorf("group %d has the interface %q, seen before: %t, %v", i, name, seen[name], err)
			}
			seen[name] = true
		}
		if len(group.Interfaces) > 1 && (!group.MAC.IsZero() || group.IPs != nil) {
			t.Errorf("group %d has addresses and several VFs", i)
		}
		if group.MAC[0]&1 != 0 || len(group.IPs) > MaxIPs {
			t.Errorf("group %d has MAC %s and IPs %s", i, group.MAC, group.IPs)
		}
		if group.Containers != nil && len(group.Containers) == 0 {
			t.Errorf("group %d is for no container", i)
		}
	}
	if len(pod.Groups) == 0 || len(seen) > MaxVFs {
		t.Errorf("%d groups with %d VFs", len(pod.Groups), len(seen))
	}
}

type rendered struct {
	Network    string         `json:"network"`
	Name       string         `json:"name,omitempty"`
	Count      int            `json:"count"`
	Required   []string       `json:"required,omitempty"`
	Forbidden  []string       `json:"forbidden,omitempty"`
	Containers []string       `json:"containers,omitempty"`
	MAC        *vf.MAC        `json:"mac,omitempty"`
	IPs        []netip.Prefix `json:"ips,omitempty"`
}

// render writes a pod as an annotation with all that can be explicit.
func render(pod Pod) string {
	entries := make([]rendered, len(pod.Groups))
	for i, group := range pod.Groups {
		entries[i] = rendered{
			Network: group.Network, Count: len(group.Interfaces), Required: group.Required, Forbidden: group.Forbidden,
			Containers: group.Containers, IPs: group.IPs,
		}
		if !group.MAC.IsZero() {
			entries[i].MAC = &group.MAC
		}
		if base, ok := strings.CutSuffix(group.Interfaces[0], "0"); len(group.Interfaces) == 1 {
			entries[i].Name = group.Interfaces[0]
		} else if ok {
			entries[i].Name = base // else the names are netN, which no name stands for
		}
	}
	text, err := json.Marshal(entries)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func checkRendering(t interface{ Errorf(string, ...any) }, pod Pod) {
	text := render(pod)
	if len(text) > MaxSize {
		return // the short form says the same in less
	}
	policy := map[bool]string{false: "none", true: "isolate"}[pod.Isolate]
	again, err := Parse(text, policy)
	if err != nil {
		t.Errorf("%s: %v", text, err)
	}
	if diff := cmp.Diff(pod, again, byValue); diff != "" {
		t.Errorf("%s (-want +got):\n%s", text, diff)
	}
}

func TestNamesAreUniqueAndStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := make([]string, rapid.IntRange(1, 8).Draw(t, "entries"))
		unnamed := 0
		for i := range entries {
			count := rapid.IntRange(1, 4).Draw(t, "count")
			entries[i] = fmt.Sprintf("{network: n%d, count: %d", i, count)
			if name := rapid.SampledFrom([]string{"", "", "net", "net1", "net2", "net10", "a", "b"}).Draw(t, "name"); name != "" {
				entries[i] += ", name: " + name
			} else {
				unnamed++
			}
			entries[i] += "}"
		}
		text := "[" + strings.Join(entries, ", ") + "]"
		pod, err := Parse(text, "")
		if err != nil {
			if unnamed == len(entries) || !strings.Contains(err.Error(), "is already the name of an interface of entry") {
				t.Fatalf("%s: %v", text, err)
			}
			return
		}
		checkPod(t, pod)
		checkRendering(t, pod)
	})
}
