package status_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/kube/status"
)

func entry(network, name string) status.Entry {
	return status.Entry{Name: status.NameOf(network), Interface: name}
}

// TestMerge: others' entries stay byte for byte and in their order, ours are replaced where they were.
func TestMerge(t *testing.T) {
	const multus = `{"name": "cbr0",  "interface":"eth0", "ips":["10.0.0.2"],"default":true,"dns":{}}`
	const other = `{"name":"prod/macvlan","interface":"net7","unknown":{"a" : 1e3}}`
	mine := `{"name":"sriov.nri.io/public","interface":"net1","dns":{}}`
	old := `{"name":"sriov.nri.io/gone","interface":"net9","dns":{}}`
	for name, c := range map[string]struct{ before, after string }{
		"none":               {"", "[" + mine + "]"},
		"white space":        {" \n", "[" + mine + "]"},
		"empty list":         {"[]", "[" + mine + "]"},
		"null":               {"null", "[" + mine + "]"},
		"behind Multus'":     {"[" + multus + ", " + other + "]", "[" + multus + "," + other + "," + mine + "]"},
		"in its place":       {"[" + multus + "," + old + "," + other + "]", "[" + multus + "," + mine + "," + other + "]"},
		"several become one": {"[" + old + "," + multus + "," + mine + "]", "[" + mine + "," + multus + "]"},
	} {
		t.Run(name, func(t *testing.T) {
			after, err := status.Merge(c.before, []status.Entry{entry("public", "net1")})
			if err != nil || after != c.after {
				t.Errorf("is\n%s, not\n%s (%v)", after, c.after, err)
			}
			again, err := status.Merge(after, []status.Entry{entry("public", "net1")})
			if err != nil || again != after {
				t.Errorf("a second time it is %s (%v)", again, err)
			}
		})
	}
	if after, err := status.Merge("["+multus+","+mine+"]", nil); err != nil || after != "["+multus+"]" {
		t.Errorf("taken away: %s, %v", after, err)
	}
	if after, err := status.Merge("["+mine+"]", nil); err != nil || after != "" {
		t.Errorf("nothing left: %q, %v", after, err)
	}
}

// TestMergeLeavesWhatIsMalformed: no guess is made at what somebody meant.
func TestMergeLeavesWhatIsMalformed(t *testing.T) {
	for _, text := range []string{"{", `{"name":"x"}`, `["x"]`, `[1]`, `[{"name":3}]`, `"x"`, `[{"name":"a"}] trailing`} {
		if after, err := status.Merge(text, []status.Entry{entry("public", "net1")}); err == nil {
			t.Errorf("%s became %s", text, after)
		}
	}
}

// FuzzMerge: whatever others have written, their entries are there afterwards, and ours once.
func FuzzMerge(f *testing.F) {
	for _, text := range []string{"", "[]", `[{"name":"a/b","ips":["1"]}]`, `[{"name":"sriov.nri.io/x"},{"name":"y"}]`, "[null]", `[{"NAME":"sriov.nri.io/x"}]`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		after, err := status.Merge(text, []status.Entry{entry("public", "net1")})
		if err != nil {
			return
		}
		var before, now []json.RawMessage
		if strings.TrimSpace(text) != "" {
			if err := json.Unmarshal([]byte(text), &before); err != nil {
				t.Fatal(err)
			}
		}
		if err := json.Unmarshal([]byte(after), &now); err != nil {
			t.Fatalf("%q became %q: %v", text, after, err)
		}
		mine, others := 0, []string{}
		for _, one := range now {
			if strings.Contains(string(one), `"sriov.nri.io/public"`) {
				mine++
			} else {
				others = append(others, string(one))
			}
		}
		at := 0
		for _, one := range before {
			if at < len(others) && string(one) == others[at] {
				at++
			}
		}
		if mine < 1 || at != len(others) {
			t.Fatalf("%q became %q", text, after)
		}
	})
}
