package placement_test

import (
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

const reasonsWorld = `{"providers":[
	{"name":"host","parent":null,"traits":["CUSTOM_RACK_A"],"inventories":{"VCPU":{"total":8}}},
	{"name":"pf0","parent":"host","traits":["CUSTOM_PUBLIC"],"inventories":{"SRIOV_NET_VF":{"total":8,"max_unit":4}}},
	{"name":"pf1","parent":"host","traits":["CUSTOM_PUBLIC","CUSTOM_SLOW"],"inventories":{"SRIOV_NET_VF":{"total":8,"min_unit":2,"step_size":2},"CUSTOM_BW":{"total":100}}},
	{"name":"pf2","parent":"host","traits":["CUSTOM_STORAGE"],"inventories":{"SRIOV_NET_VF":{"total":8,"reserved":1}}}],
	"existing_allocations":[{"consumer":"a","allocations":{"pf2":{"SRIOV_NET_VF":7},"pf0":{"SRIOV_NET_VF":3}}}],
	"request":`

// TestReasons: who reads them knows what was asked, what each provider lacks, and which rule is in the way.
func TestReasons(t *testing.T) {
	for _, c := range []struct{ request, want string }{
		{`{"groups":{"net1":{"resources":{"SRIOV_NET_VF":1},"required":["in:CUSTOM_STORAGE,CUSTOM_SLOW","!CUSTOM_SLOW"]}}}`,
			`group "net1": no provider can alone give 1 SRIOV_NET_VF: pf0 has none of CUSTOM_STORAGE, CUSTOM_SLOW; pf1 has CUSTOM_SLOW, which is forbidden; pf2 has 7 of 7 SRIOV_NET_VF in use`},
		{`{"groups":{"net1":{"resources":{"SRIOV_NET_VF":5}}}}`,
			`group "net1": no provider can alone give 5 SRIOV_NET_VF: pf0 gives out at most 4 SRIOV_NET_VF at a time (max_unit), not 5; pf1 gives out SRIOV_NET_VF in steps of 2 (step_size), not 5; pf2 has 7 of 7 SRIOV_NET_VF in use`},
		{`{"groups":{"net1":{"resources":{"SRIOV_NET_VF":1},"required":["CUSTOM_SLOW"]},"net2":{"resources":{"CUSTOM_BW":101}}},"group_policy":"none"}`,
			`group "net1": no provider can alone give 1 SRIOV_NET_VF: pf0 lacks CUSTOM_SLOW; pf1 gives out at least 2 SRIOV_NET_VF at a time (min_unit), not 1; pf2 lacks CUSTOM_SLOW
group "net2": no provider can alone give 101 CUSTOM_BW: pf1 has 100 CUSTOM_BW in all, not 101`},
		{`{"groups":{"net1":{"resources":{"SRIOV_NET_VF":4}},"net2":{"resources":{"SRIOV_NET_VF":4}},"net3":{"resources":{"SRIOV_NET_VF":4}}},"group_policy":"isolate"}`,
			`each group alone could be served, but not all of them together on different providers (group_policy isolate)`},
		{`{"groups":{"net1":{"resources":{"SRIOV_NET_VF":4},"required":["!CUSTOM_SLOW"]},"net2":{"resources":{"SRIOV_NET_VF":4},"required":["!CUSTOM_SLOW"]}},"group_policy":"isolate"}`,
			`each group alone could be served, but not all of them together
8 SRIOV_NET_VF are asked for in all: pf0 has 3 of 8 in use and gives out at most 4 at a time (max_unit)`},
		{`{"groups":{"cpu":{"resources":{"VCPU":1}},"net1":{"resources":{"SRIOV_NET_VF":1}},"net2":{"resources":{"SRIOV_NET_VF":2},"required":["CUSTOM_SLOW"]}},"group_policy":"none","same_subtree":[["net1","net2"]]}`,
			`each group alone could be served, but not all of them together within one subtree (same_subtree)`},
		{`{"groups":{"":{"resources":{"SRIOV_NET_VF":1,"CUSTOM_BW":1},"required":["CUSTOM_STORAGE"]}}}`,
			`the unnumbered group: whoever could serve it lacks CUSTOM_STORAGE`},
		{`{"groups":{"":{"resources":{"SRIOV_NET_VF":2,"VCPU":1},"required":["!CUSTOM_RACK_A"]}}}`,
			`the unnumbered group: no provider can alone give 1 VCPU: host has CUSTOM_RACK_A, which is forbidden`},
		{`{"groups":{"":{"resources":{"SRIOV_NET_VF":2,"VCPU":1},"required":["CUSTOM_PUBLIC,CUSTOM_SLOW","CUSTOM_RACK_A"]},"b":{"resources":{"CUSTOM_BW":1},"in_tree":"pf9"}}}`,
			`group "b": in_tree names "pf9", and no provider has that name`},
		{`{"groups":{"n":{"required":["CUSTOM_PUBLIC,CUSTOM_STORAGE"]},"b":{"resources":{"CUSTOM_BW":1}}},"group_policy":"none","same_subtree":[["n","b"]]}`,
			`group "n": no provider can be its placeholder: host lacks CUSTOM_PUBLIC; pf0 lacks CUSTOM_STORAGE; pf1 lacks CUSTOM_STORAGE; pf2 lacks CUSTOM_PUBLIC`},
		{`{"groups":{"b":{"resources":{"VGPU":1}}},"root_required":"CUSTOM_SLOW"}`, `root_required: host lacks CUSTOM_SLOW`},
		{`{"groups":{"b":{"resources":{"VGPU":1}}}}`, `group "b": no provider can alone give 1 VGPU: none has any`},
	} {
		got := ask([]byte(reasonsWorld+c.request+"}"), placement.Options{})
		if got.Outcome != placement.OutcomeNoCandidates || strings.Join(got.Reasons, "\n") != c.want {
			t.Errorf("%s\n%s %s\nwant\n%s", c.request, got.Outcome, strings.Join(got.Reasons, "\n"), c.want)
		}
	}
}
