package placement_test

import (
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

// TestStrictDocuments: what is not exactly a question is refused with its place.
func TestStrictDocuments(t *testing.T) {
	for _, c := range []struct{ document, want string }{
		{``, "bad-document: the document ends too early"},
		{`{"request":`, "bad-document: the document ends too early"},
		{"{\n  \"request\": {}}\n\n{}", "bad-document: line 4: there is more"},
		{`{"request":{"groups":{"1":{]}}}}`, "bad-document: request.groups.1: byte 27 is not JSON"},
		{"\xff", "bad-document: the document is not UTF-8"},
		{`[]`, "bad-document: this must be an object, not a list"},
		{`null`, "bad-document: this must be an object, not null"},
		{`{}`, "bad-document: there is no request"},
		{`{"request":{}}`, "no-resources: request: there are no groups"},
		{`{"request":{"groups":{}}}`, "no-resources: no group asks for resources"},
		{`{"Request":{"groups":{}}}`, `bad-document: unknown key "Request"; known here are providers`},
		{`{"request":{"groups":{"1":{"resources":{"VCPU":true}}}}}`, "bad-amount: request.groups.1.resources.VCPU: this must be a whole number, not true or false"},
		{`{"request":{"groups":{"1":{"required":"CUSTOM_A"}}}}`, "bad-document: request.groups.1.required: this must be a list, not a text"},
		{`{"request":{"groups":{"a.b":{"required":[1]}}}}`, `bad-document: request.groups["a.b"].required[0]: this must be a text, not a number`},
		{`{"request":{"groups":{"1":{}},"same_subtree":["1"]}}`, "bad-document: request.same_subtree[0]: this must be a list, not a text"},
		{`{"request":{"groups":{},"group_policy":""}}`, "group-policy-invalid: request.group_policy"},
		{`{"request":{"groups":{},"root_required":""}}`, "bad-trait-syntax: request.root_required"},
		{`{"providers":[{"name":"a","parent":""}],"request":{"groups":{}}}`, "bad-provider: providers[0].parent: a root's parent is null"},
		{`{"providers":[{"name":"a","inventories":{"VCPU":{"total":1,"allocation_ratio":"2"}}}],"request":{"groups":{}}}`, "bad-provider: providers[0].inventories.VCPU.allocation_ratio: this must be a number, not a text"},
		{`{"providers":[{"name":"a","inventories":{"VCPU":{"total":1,"allocation_ratio":1e999}}}],"request":{"groups":{}}}`, "bad-provider: providers[0].inventories.VCPU.allocation_ratio: \"1e999\" is too large"},
		{`{"known_traits":["custom"],"request":{"groups":{}}}`, `bad-name: known_traits: "custom" cannot be known`},
		{strings.Repeat("[", 100), "too-large: [0][0]"},
		{`{"request":"` + strings.Repeat("x", 1<<20) + `"}`, "too-large: the document has"},
		{`{"request":{"groups":{"1":{"in_tree":"` + strings.Repeat("y", 300) + `","x` + strings.Repeat("y", 300) + `":1}}}}`, "yyy\"…; known here are"},
	} {
		document, err := placement.ParseQuestion([]byte(c.document))
		if err == nil {
			_, err = document.Ask(bigNode(t, 1, 1, 0), placement.Options{})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v, want %q", c.document, err, c.want)
		}
	}
}

// TestNode: a document without providers is about the node, one with none is not.
func TestNode(t *testing.T) {
	const request = `"request":{"groups":{"1":{"resources":{"SRIOV_NET_VF":1}}}}}`
	for document, want := range map[string]string{
		`{` + request:                placement.OutcomeCandidates,
		`{"providers":[],` + request: placement.OutcomeNoCandidates,
	} {
		parsed, err := placement.ParseQuestion([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		if got := placement.AnswerOf(parsed.Ask(bigNode(t, 1, 1, 0), placement.Options{})); got.Outcome != want {
			t.Errorf("%s: %+v", document, got)
		}
	}
	parsed, err := placement.ParseQuestion([]byte(`{` + request))
	if err != nil {
		t.Fatal(err)
	}
	if got := placement.AnswerOf(parsed.Ask(nil, placement.Options{})); got.Outcome != placement.OutcomeBadRequest {
		t.Errorf("%+v", got)
	}
}

// TestAnswer: the JSON that scripts read.
func TestAnswer(t *testing.T) {
	for _, c := range []struct{ request, want string }{
		{`{"groups":{"":{"resources":{"SRIOV_NET_VF":1}},"b":{"resources":{"SRIOV_NET_VF":1}}}}`,
			`{"outcome":"candidates","count":1,"candidates":[{"allocations":{"pf0":{"SRIOV_NET_VF":2}},"mappings":{"":["pf0"],"b":["pf0"]}}],"reasons":[]}`},
		{`{"groups":{"b":{"resources":{"SRIOV_NET_VF":3}}}}`,
			`{"outcome":"no-candidates","count":0,"candidates":[],"reasons":["group \"b\": no provider can alone give 3 SRIOV_NET_VF: pf0 has 2 SRIOV_NET_VF in all, not 3"]}`},
		{`{"groups":{"b":{"resources":{"CUSTOM_VF":3}}}}`,
			`{"outcome":"bad-request","count":0,"candidates":[],"reasons":["unknown-resource-class: nobody knows the resource class \"CUSTOM_VF\""]}`},
	} {
		parsed, err := placement.ParseQuestion([]byte(`{"request":` + c.request + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := text(placement.AnswerOf(parsed.Ask(bigNode(t, 1, 2, 0), placement.Options{}))); got != c.want {
			t.Errorf("%s\n%s, want\n%s", c.request, got, c.want)
		}
	}
}

// TestRequiredStrings: traits as an annotation has them become the terms of a question.
func TestRequiredStrings(t *testing.T) {
	got := placement.RequiredStrings([]string{"A", "B"}, []string{"C", "D"}, [][]string{{"E", "F"}, {"G"}})
	if want := `["A,B","!C,!D","in:E,F","in:G"]`; text(got) != want {
		t.Errorf("%s, want %s", text(got), want)
	}
	if got := placement.RequiredStrings(nil, nil, nil); got != nil {
		t.Errorf("%q of nothing", got)
	}
}
