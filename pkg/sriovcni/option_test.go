package sriovcni

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pluginOptions are all that the four plugins read, each with a value that is not its default.
var pluginOptions = map[string]map[string]string{
	"hustcat": {
		"name": `"n"`, "type": `"sriov"`, "ipam": `{"type": "dhcp"}`, "dns": `{"domain": "x"}`, "master": `"eth1"`,
		"pfOnly": `true`, "vf": `3`, "vlan": `5`, "mac": `"02:00:00:00:00:11"`,
	},
	"Intel": {
		"if0": `"eth1"`, "if0name": `"north"`, "l2enable": `true`, "vlan": `5`, "cniDir": `"/x"`, "DPDKMode": `true`,
		"Sharedvf": `true`, "master": `"eth1"`, "deviceID": `"0000:01:10.0"`, "deviceinfo": `{"vfid": 1}`,
		"dpdk.kernel_driver": `"ixgbevf"`, "dpdk.dpdk_driver": `"vfio-pci"`, "dpdk.dpdk_tool": `"/x"`,
		"dpdk.pci_addr": `"0000:01:10.0"`, "dpdk.ifname": `"x"`, "dpdk.VFID": `1`,
	},
	"xftony": {
		"if0": `"eth1"`, "if0name": `"north"`, "l2enable": `true`, "vlan": `5`, "pfOnly": `true`, "pci_addr": `"0000:01:10.0"`,
		"PFOnly": `true`, "CNIDir": `"/x"`,
	},
	"k8snetworkplumbingwg": {
		"cniVersion": `"1.0.0"`, "deviceID": `"0000:01:10.0"`, "vlan": `5`, "vlanQoS": `3`, "vlanProto": `"802.1ad"`,
		"mac": `"02:00:00:00:00:11"`, "spoofchk": `"off"`, "trust": `"on"`, "min_tx_rate": `10`, "max_tx_rate": `20`,
		"link_state": `"enable"`, "logLevel": `"debug"`, "logFile": `"/x"`, "ipam": `{"type": "dhcp"}`,
		"runtimeConfig.mac": `"02:00:00:00:00:11"`, "runtimeConfig.ips": `["192.0.2.1/24"]`, "capabilities.mac": `true`,
		"capabilities.ips": `true`, "prevResult": `{}`, "args.cni.mac": `"02:00:00:00:00:11"`, "args.x": `1`,
		"Master": `"eth1"`, "VFID": `1`, "OrigVfState": `{}`, "MTU": `9000`, "ContIFNames": `"x"`, "vlan_trunk": `"1-4"`,
	},
}

// TestEveryOptionHasAPlace wants of each option that it changes what is written, or that a note names it.
func TestEveryOptionHasAPlace(t *testing.T) {
	for plugin, known := range pluginOptions {
		for key, v := range known {
			t.Run(plugin+"/"+key, func(t *testing.T) {
				without, with := configs(key, v)
				before, after := outcome(t, without), outcome(t, with)
				named := false
				for _, note := range after.Notes {
					named = named || note.Key == key
				}
				changed := cmp.Diff(before.Config, after.Config, cmp.AllowUnexported(value{}, field{})) != "" ||
					cmp.Diff(before.Annotations, after.Annotations) != ""
				if !named && !changed && key != "type" {
					t.Errorf("%s is neither in the config nor in a note", with)
				}
			})
		}
	}
}

func outcome(t *testing.T, content string) *Result {
	t.Helper()
	return imported(t, "", File{"f", []byte(content)})
}

// configs are two that differ in a key such as dpdk.dpdk_driver.
func configs(key, v string) (without, with string) {
	base := `"type": "sriov"`
	switch key {
	case "type":
		return "{" + base + "}", "{" + base + "}"
	case "l2enable":
		base += `, "ipam": {"type": "dhcp"}`
	case "vlanQoS", "vlanProto":
		base += `, "vlan": 5`
	}
	parts := strings.Split(key, ".")
	for i := len(parts) - 1; i > 0; i-- {
		v = fmt.Sprintf(`{%q: %s}`, parts[i], v)
	}
	return "{" + base + "}", fmt.Sprintf(`{%s, %q: %s}`, base, parts[0], v)
}

// TestEveryKnownKeyIsAnOption has the list of the tests and the table of the reader name the same keys.
func TestEveryKnownKeyIsAnOption(t *testing.T) {
	listed := map[string]bool{}
	for _, known := range pluginOptions {
		for key := range known {
			first, _, _ := strings.Cut(strings.ToLower(key), ".")
			listed[first] = true
			if _, ok := options[first]; !ok {
				t.Errorf("%s is no option of the reader", key)
			}
		}
	}
	for key := range options {
		if !listed[key] {
			t.Errorf("the option %s is in no test", key)
		}
	}
}

func TestMeaning(t *testing.T) {
	for _, c := range []struct{ name, config, want string }{
		{"nothing", ``, "- name: net\n"},
		{"nulls are absent", `"vlan": null, "spoofchk": null, "ipam": null`, "- name: net\n"},
		{"empty texts are absent", `"spoofchk": "", "trust": "", "link_state": "", "deviceID": "", "mac": ""`, "- name: net\n"},
		{"VLAN 0", `"vlan": 0, "vlanQoS": 0`, "- name: net\n  vlan: {id: 0, qos: 0}\n"},
		{"on and off", `"spoofchk": "off", "trust": "on"`, "- name: net\n  spoofCheck: false\n  trust: true\n"},
		{"on in capitals is off", `"spoofchk": "On", "trust": "true"`, "- name: net\n  spoofCheck: false\n  trust: false\n"},
		{"least rate alone", `"min_tx_rate": 10`, "- name: net\n  minTxRate: 10\n"},
		{"least rate and no limit", `"min_tx_rate": 10, "max_tx_rate": 0`, "- name: net\n  minTxRate: 10\n  maxTxRate: 0\n"},
		{"link state", `"link_state": "disable"`, "- name: net\n  linkState: disable\n"},
		{"keys in any case", `"VLAN": 7, "SpoofChk": "off"`, "- name: net\n  vlan: {id: 7}\n  spoofCheck: false\n"},
		{"any MAC", `"capabilities": {"mac": true}, "mac": "02-00-00-00-00-11"`, "- name: net\n  allow: [mac]\n"},
		{"one MAC", `"mac": "02-00-00-00-00-1A"`, "- name: net\n  allow: [mac]\n  macPrefix: \"02:00:00:00:00\"\n"},
		{"layer 2", `"ipam": {}`, "- name: net\n"},
		{"ipam without a type", `"ipam": {"subnet": "x"}`, "- name: net\n"},
		{"ipam of odd texts", `"ipam": {"type": "x", "a": "on", "b": "0777", "c": "a: b #", "d": [1, true]}`,
			"- name: net\n  ipam: {type: x, a: \"on\", b: \"0777\", c: \"a: b #\", d: [1, true]}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := `{"type": "sriov", "name": "net"`
			if c.config != "" {
				config += ", " + c.config
			}
			output, err := encode(outcome(t, config+"}").Config)
			if err != nil {
				t.Fatal(err)
			}
			_, networks, _ := strings.Cut(string(output), "networks:\n")
			if diff := cmp.Diff(c.want, strings.ReplaceAll("\n"+networks, "\n  ", "\n")[1:]); diff != "" {
				t.Errorf("network (-want +got):\n%s", diff)
			}
		})
	}
}
