package request

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// byValue compares requests, but for what the pod calls an entry: see TestNameOfAnEntry.
var byValue = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.IgnoreFields(Group{}, "Name")}

func TestNameOfAnEntry(t *testing.T) {
	pod, err := Parse(`[{network: a}, {network: b, name: data, count: 2}, "c@up0"]`, "")
	if err != nil || pod.Groups[0].Name != "" || pod.Groups[1].Name != "data" || pod.Groups[2].Name != "up0" {
		t.Errorf("%+v, %v", pod, err)
	}
}

func group(network string, interfaces ...string) Group {
	return Group{Network: network, Interfaces: interfaces}
}

func TestParse(t *testing.T) {
	full := group("storage", "data0", "data1")
	full.Required, full.Forbidden, full.Containers = []string{"CUSTOM_RACK_A"}, []string{"CUSTOM_SLOW"}, []string{"app", "dpdk"}
	addressed := group("public", "net2")
	addressed.MAC = vf.MAC{2, 0, 0, 0, 0, 0x11}
	addressed.IPs = []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24"), netip.MustParsePrefix("2001:db8::10/64")}

	tests := []struct {
		name, text string
		want       []Group
	}{
		{"short", "public", []Group{group("public", "net1")}},
		{"short with name", "public@eth1", []Group{group("public", "eth1")}},
		{"short list", "public@eth1, storage", []Group{group("public", "eth1"), group("storage", "net1")}},
		{"short over lines", " public@eth1,\n  storage ,public\n", []Group{group("public", "eth1"), group("storage", "net1"), group("public", "net2")}},
		{"short in quotes", `"public@eth1, storage"`, []Group{group("public", "eth1"), group("storage", "net1")}},
		{"short after a marker", "--- public@eth1", []Group{group("public", "eth1")}},
		{"short with a comment", "public # the usual", []Group{group("public", "net1")}},
		{"networks that YAML takes for something else", "null, true@t, 5.0@f, no", []Group{group("null", "net1"), group("true", "t"), group("5.0", "f"), group("no", "net2")}},
		{"a number in quotes", `'100'`, []Group{group("100", "net1")}},
		{"texts in a list", "- public@eth1\n- storage\n", []Group{group("public", "eth1"), group("storage", "net1")}},
		{"texts in JSON", `["public@eth1", "storage"]`, []Group{group("public", "eth1"), group("storage", "net1")}},
		{"texts and maps", "[public, {network: storage, name: a}]", []Group{group("public", "net1"), group("storage", "a")}},
		{"JSON", `[{"network": "public", "count": 2}]`, []Group{group("public", "net1", "net2")}},
		{"JSON over lines with tabs", "[\n\t{\n\t\t\"network\": \"public\"\n\t}\n]", []Group{group("public", "net1")}},
		{
			"everything", `
- network: public
  name: net1
- network: storage
  count: 2
  name: data
  required: [CUSTOM_RACK_A]
  forbidden: [CUSTOM_SLOW]
  containers: [app, dpdk]
- network: public
  mac: "02:00:00:00:00:11"
  ips: ["192.0.2.10/24", "2001:db8::10/64"]
`, []Group{group("public", "net1"), full, addressed},
		},
		{"MAC in upper case", `[{network: public, name: net2, mac: "02:00:00:00:00:11", ips: ["192.0.2.10/24", "2001:0DB8::10/64"]}]`, []Group{addressed}},
		{"empty lists say nothing", "[{network: a, required: [], forbidden: [], ips: []}]", []Group{group("a", "net1")}},
		{"chosen names come first", "[{network: a}, {network: b, name: net1}, {network: c}]", []Group{group("a", "net2"), group("b", "net1"), group("c", "net3")}},
		{"generated names come first, too", "[{network: a}, {network: b, name: net, count: 3}]", []Group{group("a", "net3"), group("b", "net0", "net1", "net2")}},
		{"names in a row", "[{network: a, count: 2}, {network: b, name: net2}, {network: c}, {network: d}]", []Group{group("a", "net3", "net4"), group("b", "net2"), group("c", "net1"), group("d", "net5")}},
		{"one VF has the name itself", "[{network: a, name: data, count: 1}]", []Group{group("a", "data")}},
		{"longest name", "[{network: a, name: abcdefghijklmno}]", []Group{group("a", "abcdefghijklmno")}},
		{"longest name with a number", "[{network: a, name: abcdefghijklmn, count: 2}]", []Group{group("a", "abcdefghijklmn0", "abcdefghijklmn1")}},
		{"names with marks", "[{network: a, name: _a.b-c}]", []Group{group("a", "_a.b-c")}},
		{"numbers make a reserved name good", "[{network: a, name: lo, count: 2}]", []Group{group("a", "lo0", "lo1")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Parse(test.text, "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Pod{Groups: test.want}, got, byValue); diff != "" {
				t.Errorf("pod (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseGroupPolicy(t *testing.T) {
	for policy, want := range map[string]bool{"": false, "none": false, "isolate": true} {
		pod, err := Parse("a", policy)
		if err != nil || pod.Isolate != want {
			t.Errorf("%q: isolate is %t, %v", policy, pod.Isolate, err)
		}
	}
	for _, policy := range []string{"Isolate", "true", " isolate", "spread"} {
		want := `sriov.nri.io/group-policy: "` + policy + `" is neither none nor isolate`
		if _, err := Parse("a", policy); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", policy, err, want)
		}
	}
}

func TestParseAcceptsTheLargest(t *testing.T) {
	pod, err := Parse("[{network: a, count: 32}]", "")
	if err != nil || len(pod.Groups[0].Interfaces) != MaxVFs || pod.Groups[0].Interfaces[31] != "net32" {
		t.Errorf("32 VFs: %+v, %v", pod, err)
	}
	text := "[{network: a}]"
	text += strings.Repeat(" ", MaxSize-len(text))
	if _, err := Parse(text, ""); err != nil {
		t.Errorf("16 KiB: %v", err)
	}
}
