package sriovcni

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const manifestHead = "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: a, namespace: b}\n"

func TestBroken(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "\n# nothing\n", "f: there is nothing but blanks and comments"},
		{"large", strings.Repeat(" ", MaxSize+1), "f: the file has more than 4194304 bytes (4 MiB)"},
		{"not UTF-8", "{\n\"a\": \"\xff\"}", "f:2: document 1: byte 0xff is not UTF-8"},
		{"no config", "{}", "f:1: document 1: this is neither a manifest (it lacks apiVersion or kind) nor a CNI config (it has neither type nor plugins)"},
		{"list", "[1]", "f:1: document 1: this is a list, not a manifest or a CNI config"},
		{"text", "hello", "f:1: document 1: this is a text, not a manifest or a CNI config"},
		{"YAML", "type: sriov\n", "f:1: document 1: this CNI config is not JSON, so no runtime reads it"},
		{"trailing comma", "{\n  \"type\": \"sriov\",\n}", "f:3: document 1: not JSON: invalid character '}' looking for beginning of object key string"},
		{"half", "{\n  \"type\": \"sriov\",\n  \"vlan\": 5\n", "f:3: document 1: not JSON: it ends in the middle"},
		{"second of two", "{\"type\": \"sriov\"}\n{\"type\": sriov}", "f:2: document 2: not JSON: invalid character 's' looking for beginning of value"},
		{"key twice", "{\"type\": \"sriov\",\n\"vlan\": 1,\n\"vlan\": 2}", `f:3: document 1: the key "vlan" is there twice, first in line 2`},
		{"key in two cases", "{\"type\": \"sriov\",\n\"vlan\": 1,\n\"VLAN\": 2}", `f:3: document 1: VLAN: it is the same key as "vlan" in line 2`},
		{"broken YAML", "a: 1\n---\napiVersion: [\n", "f:3: document 2: not YAML: did not find expected node content\n" +
			"f:1: document 1: this is neither a manifest (it lacks apiVersion or kind) nor a CNI config (it has neither type nor plugins)"},
		{"anchor", manifestHead + "spec: &x {config: '{}'}", "f:4: document 1: anchors and aliases are not accepted; write the value out"},
		{"tag", manifestHead + "spec: !x {config: '{}'}", "f:4: document 1: tags are not accepted"},
		{"no name", "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\n", "f:1: document 1: NetworkAttachmentDefinition: metadata.name is missing or no text"},
		{"namespace is a pattern", "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata:\n  name: a\n  namespace: '*'\n",
			"f:5: document 1: NetworkAttachmentDefinition a: metadata.namespace is not the name of a namespace"},
		{"config is a map", manifestHead + "spec: {config: {type: sriov}}", "f:4: document 1: NetworkAttachmentDefinition b/a: spec.config is a map; it must be a text that holds JSON"},
		{"config is no JSON", manifestHead + "spec:\n  config: |\n    {\n      \"type\": sriov\n    }\n",
			"f:7: document 1: NetworkAttachmentDefinition b/a: spec.config: not JSON: invalid character 's' looking for beginning of value"},
		{"config is no map", manifestHead + "spec: {config: '[]'}", "f:4: document 1: NetworkAttachmentDefinition b/a: spec.config must hold one map in JSON"},
		{"VLAN", manifestHead + "spec:\n  config: |\n    {\"type\": \"sriov\",\n     \"vlan\": 4095}\n",
			"f:7: document 1: NetworkAttachmentDefinition b/a: spec.config: vlan: 4095 is not a whole number from 0 to 4094"},
		{"VLAN is a text", "{\"type\": \"sriov\", \"vlan\": \"5\"}", "f:1: document 1: vlan: this is a text; it must be a number"},
		{"half a VLAN", "{\"type\": \"sriov\", \"vlan\": 5.5}", "f:1: document 1: vlan: 5.5 is not a whole number from 0 to 4094"},
		{"priority alone", "{\"type\": \"sriov\", \"vlanQoS\": 1}", "f:1: document 1: vlanQoS: it needs a vlan"},
		{"priority of VLAN 0", "{\"type\": \"sriov\", \"vlan\": 0, \"vlanQoS\": 1}", "f:1: document 1: vlanQoS: 1 needs a vlan from 1 to 4094"},
		{"protocol of VLAN 0", "{\"type\": \"sriov\", \"vlan\": 0, \"vlanProto\": \"802.1AD\"}", "f:1: document 1: vlanProto: 802.1ad needs a vlan from 1 to 4094"},
		{"protocol", "{\"type\": \"sriov\", \"vlan\": 5, \"vlanProto\": \"qinq\"}", `f:1: document 1: vlanProto: "qinq" is neither 802.1q nor 802.1ad`},
		{"rates", "{\"type\": \"sriov\", \"min_tx_rate\": 5, \"max_tx_rate\": 4}", "f:1: document 1: min_tx_rate: 5 is more than max_tx_rate, which is 4"},
		{"link state", "{\"type\": \"sriov\", \"link_state\": \"up\"}", `f:1: document 1: link_state: "up" is none of auto, enable, disable`},
		{"MAC", "{\"type\": \"sriov\", \"mac\": \"01:00:00:00:00:00\"}", `f:1: document 1: mac: "01:00:00:00:00:00" is not the MAC address of an interface, such as 02:00:00:00:00:11`},
		{"trust is no text", "{\"type\": \"sriov\", \"trust\": true}", "f:1: document 1: trust: this is true or false; it must be a text"},
		{"device", "{\"type\": \"sriov\", \"deviceID\": \"../x\"}", `f:1: document 1: deviceID: "../x" is not a PCI address such as 0000:01:10.0`},
		{"PF", "{\"type\": \"sriov\", \"if0\": \"a/b\"}", `f:1: document 1: if0: the interface name "a/b" may not hold '/'`},
		{"two PFs", "{\"type\": \"sriov\", \"if0\": \"a\", \"master\": \"b\"}", `f:1: document 1: master: "a" and "b" are two PFs; a config has one`},
		{"static address", "{\"type\": \"sriov\",\n\"ipam\": {\"type\": \"static\", \"addresses\": [{\"address\": \"192.0.2.300/24\"}]}}",
			`f:2: document 1: ipam.addresses[0].address: "192.0.2.300/24" is not an address with the length of its prefix, such as 192.0.2.10/24`},
		{"two plugins", "{\"plugins\": [{\"type\": \"sriov\"},\n{\"type\": \"sriov\"}]}", "f:2: document 1: plugins: sriov is there twice; both would make the same interface"},
		{"plugin without type", "{\"plugins\": [{}]}", "f:1: document 1: plugins[0]: type is missing"},
		{"deep", strings.Repeat("[", 40) + strings.Repeat("]", 40), "f:1: document 1: lists and maps lie more than 32 deep in each other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, err := Import([]File{{"f", []byte(c.text)}}, Args{})
			if err == nil || result != nil {
				t.Fatalf("accepted as %+v", result)
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNothingUsable(t *testing.T) {
	for _, content := range []string{
		`{"type": "macvlan"}`, `{"name": "x", "plugins": [{"type": "bridge"}, {"type": "tuning"}]}`,
		manifestHead, "apiVersion: v1\nkind: Pod\n",
	} {
		result := outcome(t, content)
		if len(result.Config.Networks) != 0 || len(result.Notes) == 0 {
			t.Errorf("%s: %d networks, notes %v", content, len(result.Config.Networks), result.Notes)
		}
	}
}

func TestParseArgs(t *testing.T) {
	for _, content := range []string{"a", "=b", "VLAN=5;", "VLAN=5;;MAC=x"} {
		if _, err := ParseArgs(content); err == nil {
			t.Errorf("%q is accepted", content)
		}
	}
	args, err := ParseArgs("VLAN=5000")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Import([]File{{"f", []byte(`{"type": "sriov"}`)}}, args)
	if want := "f: document 1: CNI_ARGS.VLAN: 5000 is not a whole number from 0 to 4094"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
