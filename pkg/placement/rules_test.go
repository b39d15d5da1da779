package placement_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

// vfOf writes a numbered group of one VF with required traits.
func vfOf(suffix, required string) string {
	if required == "" {
		return fmt.Sprintf(`"%s":{"resources":{"SRIOV_NET_VF":1}}`, suffix)
	}
	return fmt.Sprintf(`"%s":{"resources":{"SRIOV_NET_VF":1},"required":["%s"]}`, suffix, required)
}

const (
	none    = `,"group_policy":"none"`
	isolate = `,"group_policy":"isolate"`
)

// rules ask more of the file's topologies than its cases do. What is wanted is the number of candidates, or a code.
var rules = []struct {
	what, topology string
	groups, rest   string
	want           string
}{
	{"one VF on each of two networks", "wiring", vfOf("1", "CUSTOM_NET1") + "," + vfOf("2", "CUSTOM_NET2"), none, "4"},
	{"four VFs in one amount where two are free on each", "geneve", `"":{"resources":{"SRIOV_NET_VF":3}}`, "", "0"},
	{"bandwidth excludes slow PFs", "wiring", `"1":{"resources":{"SRIOV_NET_VF":1,"NET_BW_EGR_KILOBIT_PER_SEC":5000000}}`, "", "2"},
	{"two groups apart, one needs SSL", "ssl-pair", vfOf("1", "HW_NIC_ACCEL_SSL") + "," + vfOf("2", ""), isolate, "1"},
	{"the same, not apart", "ssl-pair", vfOf("1", "HW_NIC_ACCEL_SSL") + "," + vfOf("2", ""), none, "2"},
	{"amount and trait on different PFs", "geneve", `"":{"resources":{"SRIOV_NET_VF":2},"required":["HW_NIC_OFFLOAD_GENEVE"]}`, "", "0"},
	{"max_unit binds the sum of the groups", "units", `"1":{"resources":{"SRIOV_NET_VF":6}},"2":{"resources":{"SRIOV_NET_VF":4}}`, none, "0"},
	{"over-committed capacity and one more", "ratios", `"1":{"resources":{"SRIOV_NET_VF":9},"required":["CUSTOM_OVER"]}`, "", "0"},
	{"fractions of capacity are lost", "ratios", `"1":{"resources":{"SRIOV_NET_VF":5},"required":["CUSTOM_FRAC"]}`, "", "0"},
	{"all is reserved", "ratios", `"1":{"resources":{"SRIOV_NET_VF":1},"required":["CUSTOM_DEAD"]}`, "", "0"},
	{"three VFs, of which one PF gives two at most", "max-unit", vfOf("1", "") + "," + vfOf("2", "") + "," + vfOf("3", ""), none, "7"},
	{"alternatives", "traits", vfOf("1", `in:CUSTOM_OFFLOAD_A,CUSTOM_OFFLOAD_B","CUSTOM_PHYSNET_PUBLIC`), "", "2"},
	{"a host's trait is not its PFs'", "traits", vfOf("1", "CUSTOM_HOST_GOLD"), "", "0"},
	{"a forbidden trait of nobody", "seed", vfOf("1", "CUSTOM_PHYSNET_PUBLIC,!HW_NIC_SRIOV"), "", "1"},
	{"VF and bandwidth of one unnumbered group may be of two PFs", "same-net", `"":{"resources":{"SRIOV_NET_VF":1,"NET_BW_EGR_KILOBIT_PER_SEC":1}}`, "", "4"},
	{"numbered and unnumbered amounts add up", "seed", `"":{"resources":{"SRIOV_NET_VF":3},"required":["CUSTOM_PHYSNET_PUBLIC"]},"1":{"resources":{"SRIOV_NET_VF":5},"required":["CUSTOM_PHYSNET_PUBLIC"]}`, "", "1"},
	{"siblings are no subtree", "numa", vfOf("_P", "CUSTOM_PHYSNET_PUBLIC") + "," + vfOf("_I", "CUSTOM_PHYSNET_INTRANET"), none + `,"same_subtree":[["_P","_I"]]`, "0"},
	{"one suffix hinders nothing", "numa", vfOf("_P", "CUSTOM_PHYSNET_PUBLIC"), `,"same_subtree":[["_P"]]`, "2"},
	{"a provider is in its own subtree", "numa", vfOf("_P", "CUSTOM_PHYSNET_PUBLIC") + `,"_Q":{"required":["CUSTOM_PHYSNET_PUBLIC"]}`, none + `,"same_subtree":[["_P","_Q"]]`, "2"},
	{"and cannot be another one then", "numa", vfOf("_P", "CUSTOM_PHYSNET_PUBLIC") + `,"_Q":{"required":["CUSTOM_PHYSNET_PUBLIC"]}`, isolate + `,"same_subtree":[["_P","_Q"]]`, "0"},
	{"any host", "two-hosts", vfOf("1", ""), "", "3"},
	{"a candidate is of one tree", "two-hosts", `"1":{"resources":{"SRIOV_NET_VF":4}},"2":{"resources":{"SRIOV_NET_VF":4}},"3":{"resources":{"SRIOV_NET_VF":4}}`, none, "0"},
	{"in_tree of one group draws the others along", "two-hosts", `"":{"resources":{"VCPU":1}},"1":{"resources":{"SRIOV_NET_VF":1},"in_tree":"h2-pf0"}`, "", "1"},
	{"in_tree of two trees", "two-hosts", `"1":{"resources":{"SRIOV_NET_VF":1},"in_tree":"h1"},"2":{"resources":{"SRIOV_NET_VF":1},"in_tree":"h2"}`, none, "0"},
	{"in_tree of nobody", "two-hosts", `"1":{"resources":{"SRIOV_NET_VF":1},"in_tree":"h3"}`, "", "0"},
	{"two ports of more than half a PF", "same-net", `"1":{"resources":{"NET_BW_EGR_KILOBIT_PER_SEC":6000000}},"2":{"resources":{"NET_BW_EGR_KILOBIT_PER_SEC":6000000}}`, none, "2"},
	{"VF and bandwidth of two providers that meet at the root only", "split", vfOf("_V", "") + `,"_B":{"resources":{"NET_BW_EGR_KILOBIT_PER_SEC":1}}`, none + `,"same_subtree":[["_V","_B"]]`, "0"},
	{"a limit above the number", "seed", vfOf("1", ""), `,"limit":9`, "2"},

	{"an unknown trait", "seed", vfOf("1", "CUSTOM_TYPO"), "", "unknown-trait"},
	{"an unknown forbidden trait", "seed", vfOf("1", "!CUSTOM_TYPO"), "", "unknown-trait"},
	{"an unknown trait of the root", "seed", vfOf("1", ""), `,"root_required":"CUSTOM_TYPO"`, "unknown-trait"},
	{"a policy that does not exist", "seed", vfOf("1", ""), `,"group_policy":"apart"`, "group-policy-invalid"},
	{"required and forbidden", "seed", vfOf("1", "CUSTOM_PHYSNET_PUBLIC,!CUSTOM_PHYSNET_PUBLIC"), "", "trait-conflict"},
	{"required and forbidden of the root", "traits", vfOf("1", ""), `,"root_required":"CUSTOM_HOST_GOLD,!CUSTOM_HOST_GOLD"`, "trait-conflict"},
	{"a placeholder in no subtree", "numa", vfOf("1", "") + `,"_N":{"required":["HW_NUMA_ROOT"]}`, none, "resourceless-group-not-in-same-subtree"},
	{"the unnumbered group without resources", "numa", vfOf("1", "") + `,"":{"required":["HW_NUMA_ROOT"]}`, "", "resourceless-group-not-in-same-subtree"},
	{"alternatives of the root", "seed", vfOf("1", ""), `,"root_required":"in:CUSTOM_A,CUSTOM_B"`, "bad-trait-syntax"},
	{"a trait forbidden three times", "seed", vfOf("1", "!!!CUSTOM_PHYSNET_PUBLIC"), "", "bad-trait-syntax"},
	{"an empty trait", "seed", vfOf("1", "CUSTOM_PHYSNET_PUBLIC,"), "", "bad-trait-syntax"},
	{"an empty alternative", "seed", vfOf("1", "in:"), "", "bad-trait-syntax"},
	{"an empty set", "seed", vfOf("1", ""), `,"same_subtree":[[]]`, "same-subtree-empty-suffix"},
	{"a suffix that is none", "seed", vfOf("a b", ""), "", "bad-suffix"},
	{"an empty group", "seed", vfOf("1", "") + `,"2":{}`, none, "empty-group"},
	{"a limit of zero", "seed", vfOf("1", ""), `,"limit":0`, "bad-limit"},
	{"an amount with a fraction", "seed", `"1":{"resources":{"SRIOV_NET_VF":1.5}}`, "", "bad-amount"},
	{"an amount as a text", "seed", `"1":{"resources":{"SRIOV_NET_VF":"1"}}`, "", "bad-amount"},
	{"an amount that is too large", "seed", `"1":{"resources":{"SRIOV_NET_VF":2147483648}}`, "", "bad-amount"},
	{"member_of", "seed", `"1":{"resources":{"SRIOV_NET_VF":1},"member_of":["rail-1"]}`, "", "not-supported"},
	{"an unknown key", "seed", `"1":{"resources":{"SRIOV_NET_VF":1},"requires":[]}`, "", "bad-document"},
	{"a key twice", "seed", vfOf("1", "") + "," + vfOf("1", ""), "", "bad-document"},
}

func TestRules(t *testing.T) {
	file := readCases(t)
	for _, c := range rules {
		t.Run(c.what, func(t *testing.T) {
			request := `{"groups":{` + c.groups + `}` + c.rest + `}`
			if !json.Valid([]byte(request)) {
				t.Fatal("the test is no JSON")
			}
			document := `{"providers":` + string(file.Topologies[c.topology].Providers) + `,"request":` + request + `}`
			got := ask([]byte(document), placement.Options{})
			if got.Outcome == placement.OutcomeBadRequest {
				if !strings.HasPrefix(got.Reasons[0], c.want+": ") {
					t.Errorf("%q, want %s", got.Reasons, c.want)
				}
				return
			}
			if fmt.Sprint(got.Count) != c.want {
				t.Errorf("%d candidates, want %s: %q %v", got.Count, c.want, got.Reasons, got.Candidates)
			}
			t.Log(got.Reasons)
		})
	}
}

// TestNics counts candidates where placeholders stand for cards.
func TestNics(t *testing.T) {
	file := readCases(t)
	card := `"_NIC":{"required":["CUSTOM_HW_NIC_ROOT"]}`
	for _, c := range []struct {
		groups, rest string
		want         int
	}{
		{`"_P1":{"resources":{"SRIOV_NET_VF":4},"required":["CUSTOM_PHYSNET1"]},"_P2":{"resources":{"SRIOV_NET_VF":4},"required":["CUSTOM_PHYSNET2"]}`, `,"group_policy":"none"`, 2},
		{card + `,"_P1":{"resources":{"SRIOV_NET_VF":2},"required":["CUSTOM_PHYSNET1"]},` + vfOf("_P2A", "CUSTOM_PHYSNET2") + "," + vfOf("_P2B", "CUSTOM_PHYSNET2"),
			`,"group_policy":"isolate","same_subtree":[["_NIC","_P1","_P2A","_P2B"]]`, 4},
	} {
		document := `{"providers":` + string(file.Topologies["nics"].Providers) + `,"request":{"groups":{` + c.groups + `}` + c.rest + `}}`
		if got := ask([]byte(document), placement.Options{}); got.Count != c.want {
			t.Errorf("%s%s: %d, want %d", c.groups, c.rest, got.Count, c.want)
		}
	}
}

// TestPreferred: candidates come in the preferred order, First answers the first of them, and the order may look at
// what the groups before took.
func TestPreferred(t *testing.T) {
	tree := bigNode(t, 3, 4, 6) // 2 of 4 free on each PF
	if err := tree.SetUsed("pf2", "SRIOV_NET_VF", 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		prefer func(string, placement.Offer, placement.Offer) int
		want   string
	}{
		{"as in the tree", nil, "pf0 pf0 pf1"},
		{"spread", func(_ string, a, b placement.Offer) int { return b.Free - a.Free }, "pf2 pf2 pf0"},
		{"pack", func(_ string, a, b placement.Offer) int { return a.Free - b.Free }, "pf0 pf0 pf1"},
		{"apart", func(_ string, a, b placement.Offer) int { return a.Groups - b.Groups }, "pf0 pf1 pf2"},
		{"by name, backwards", func(_ string, a, b placement.Offer) int { return strings.Compare(b.Provider, a.Provider) }, "pf2 pf2 pf2"},
	} {
		question := placement.Question{GroupPolicy: "none"}
		for _, suffix := range []string{"c", "a", "b"} {
			question.Groups = append(question.Groups, placement.Group{Suffix: suffix, Resources: amount(1)})
		}
		options := placement.Options{Prefer: c.prefer}
		first, err := placement.First(tree, question, options)
		if err != nil || len(first.Candidates) != 1 || first.More {
			t.Fatalf("%s: %+v, %v", c.name, first, err)
		}
		all, err := placement.Candidates(tree, question, options)
		if err != nil || text(all.Candidates[0]) != text(first.Candidates[0]) {
			t.Errorf("%s: %s is first, and %s is the first of all, %v", c.name, text(first.Candidates[0]), text(all.Candidates[0]), err)
		}
		mappings := first.Candidates[0].Mappings
		if got := mappings["c"][0] + " " + mappings["a"][0] + " " + mappings["b"][0]; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestLimit: the answer says that there are more, and counts what it holds.
func TestLimit(t *testing.T) {
	tree := bigNode(t, 8, 128, 900)
	result, err := placement.Candidates(tree, groupsOf(4, "none"), placement.Options{})
	answer := placement.AnswerOf(result, err)
	if !result.More || result.CutShort || answer.Count != placement.DefaultLimit || len(answer.Reasons) != 1 {
		t.Errorf("%v %v %d %q", result.More, result.CutShort, answer.Count, answer.Reasons)
	}
	result, err = placement.Candidates(tree, groupsOf(4, "none"), placement.Options{MaxSteps: 20})
	answer = placement.AnswerOf(result, err)
	if result.More || !result.CutShort || answer.Outcome != placement.OutcomeCandidates || len(answer.Reasons) != 1 {
		t.Errorf("%v %v %d %q", result.More, result.CutShort, answer.Count, answer.Reasons)
	}
}

// TestBadProviders: a tree that cannot be is no tree without capacity.
func TestBadProviders(t *testing.T) {
	for _, c := range []struct{ providers, want string }{
		{`{"name":"a"},{"name":"a"}`, "there twice"},
		{`{"name":""}`, "1 to 200 bytes"},
		{`{"name":"a","parent":"b"}`, "parent \"b\", which is not there"},
		{`{"name":"a","parent":"b"},{"name":"b","parent":"a"}`, "in a circle"},
		{`{"name":"a","traits":["custom_x"]}`, "cannot be a trait"},
		{`{"name":"a","inventories":{"vf":{"total":1}}}`, "cannot be a resource class"},
		{`{"name":"a","inventories":{"SRIOV_NET_VF":{}}}`, "there is no total"},
		{`{"name":"a","inventories":{"SRIOV_NET_VF":{"total":0}}}`, "total must be 1"},
		{`{"name":"a","inventories":{"SRIOV_NET_VF":{"total":1,"reserved":2}}}`, "reserved must be"},
		{`{"name":"a","inventories":{"SRIOV_NET_VF":{"total":1,"allocation_ratio":-1}}}`, "allocation_ratio must be"},
		{`{"name":"a","inventories":{"SRIOV_NET_VF":{"total":1,"max_unit":0}}}`, "max_unit must be"},
		{`{"name":"a","traits":["MISC_SHARES_VIA_AGGREGATE"],"aggregates":["x"]}`, "not supported"},
	} {
		got := ask([]byte(`{"providers":[`+c.providers+`],"request":{"groups":{"":{"resources":{"SRIOV_NET_VF":1}}}}}`), placement.Options{})
		if got.Outcome != placement.OutcomeBadRequest || !strings.Contains(got.Reasons[0], c.want) {
			t.Errorf("%s: %s %q, want %q", c.providers, got.Outcome, got.Reasons, c.want)
		}
	}
}

// TestExisting: claims of the document that cannot be are a bad request.
func TestExisting(t *testing.T) {
	document := `{"existing_allocations":[{"consumer":"a","allocations":{"pf0":{"SRIOV_NET_VF":%d}}}],"request":{"groups":{"1":{"resources":{"SRIOV_NET_VF":1}}}}}`
	for used, want := range map[int]string{1: "candidates", 2: "no-candidates", 3: "bad-request"} {
		parsed, err := placement.ParseQuestion(fmt.Appendf(nil, document, used))
		if err != nil {
			t.Fatal(err)
		}
		if got := placement.AnswerOf(parsed.Ask(bigNode(t, 1, 2, 0), placement.Options{})); got.Outcome != want {
			t.Errorf("%d in use: %+v, want %s", used, got, want)
		}
	}
}
