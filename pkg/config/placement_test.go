package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

func TestParsePlacement(t *testing.T) {
	got, err := Load("../../configs/examples/node-placement.yaml")
	if err != nil {
		t.Fatal(err)
	}
	public, storage, backup := vf.DefaultSettings(), vf.DefaultSettings(), vf.DefaultSettings()
	public.VLAN.ID, public.MaxTxRate = 100, 1000
	storage.VLAN.ID, storage.MinTxRate, storage.MaxTxRate = 200, 5000, 20000
	want := &Node{
		Source: "../../configs/examples/node-placement.yaml", Pack: true,
		Providers: []Provider{
			{PF: "enp1s0", NumVFs: 16, Traits: []string{"CUSTOM_PHYSNET_PUBLIC"}, Bandwidth: Bandwidth{Egress: 10000, Ingress: 10000}},
			{PF: "enp2s0", NumVFs: 16, Traits: []string{"CUSTOM_PHYSNET_PUBLIC"}, Bandwidth: Bandwidth{Egress: 10000, Ingress: 10000}},
			{PF: "enp3s0", NumVFs: 8, Reserved: 1, Traits: []string{"CUSTOM_PHYSNET_STORAGE"}, Bandwidth: Bandwidth{Egress: 25000}},
		},
		Networks: []Network{
			{
				Name: "public", Device: DeviceNetdev, Required: []string{"CUSTOM_PHYSNET_PUBLIC"}, MaxPerNamespace: 4,
				Settings: public, CNIVersion: "1.1.0",
			},
			{
				Name: "storage", Device: DeviceNetdev, Namespaces: []string{"prod", "team-*"}, Required: []string{"CUSTOM_PHYSNET_STORAGE"},
				MaxPerNamespace: 2, Settings: storage, CNIVersion: "1.1.0",
			},
			{
				Name: "backup", Device: DeviceNetdev, Required: []string{"CUSTOM_PHYSNET_PUBLIC", "CUSTOM_NUMA_0"},
				Forbidden: []string{"CUSTOM_VENDOR_15B3"}, Settings: backup, CNIVersion: "1.1.0",
			},
		},
	}
	if diff := cmp.Diff(want, got, byValue); diff != "" {
		t.Errorf("node (-want +got):\n%s", diff)
	}
}

func TestParseAcceptsBandwidth(t *testing.T) {
	for text, want := range map[string]Bandwidth{
		"{egress: 1}":                         {Egress: 1},
		"{ingress: 10000000}":                 {Ingress: 10_000_000},
		"{egress: 10000000, ingress: 100000}": {Egress: 10_000_000, Ingress: 100_000},
	} {
		got, err := Parse("config.yaml", []byte(head+"networks: [{name: a}]\nproviders: [{pf: a, bandwidth: "+text+"}, {pf: b}]\n"))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got.Providers[0].Bandwidth != want || got.Providers[1].Bandwidth != (Bandwidth{}) {
			t.Errorf("%s: %+v", text, got.Providers)
		}
	}
}

func TestParseRefusesBandwidth(t *testing.T) {
	refusals{
		{"none", "{}", "6: providers[0].bandwidth: egress and ingress are missing; declare one or both in Mbit/s, such as egress: 10000"},
		{"no value", "", "6: providers[0].bandwidth: there is no value"},
		{"one number", "10000", "6: providers[0].bandwidth: this must be a map, not a number"},
		{"text", "{egress: fast}", `6: providers[0].bandwidth.egress: "fast" is not a whole decimal number`},
		{"unit", "{egress: 10G}", `6: providers[0].bandwidth.egress: "10G" is not a whole decimal number`},
		{"quotes", "{ingress: '1'}", `6: providers[0].bandwidth.ingress: "1" is a text; write it without quotes`},
		{"zero", "\n      egress: 0\n      ingress: 1", "7: providers[0].bandwidth.egress: 0 is not a number from 1 to 10000000"},
		{"negative", "\n      egress: 1\n      ingress: -1", "8: providers[0].bandwidth.ingress: -1 is not a number from 1 to 10000000"},
		{"huge", "{egress: 10000001}", "6: providers[0].bandwidth.egress: 10000001 is not a number from 1 to 10000000"},
		{"unknown key", "{egress: 1, burst: 1}", `6: providers[0].bandwidth: unknown key "burst"; known here are egress, ingress`},
	}.run(t, head+"networks: [{name: a}]\nproviders:\n  - pf: a\n    bandwidth: ")
}

func TestParseAcceptsPlacement(t *testing.T) {
	for text, pack := range map[string]bool{"": false, "placement: spread\n": false, "placement: pack\n": true} {
		got, err := Parse("config.yaml", []byte(head+"networks: [{name: a}]\n"+text))
		if err != nil || got.Pack != pack {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestParseRefusesPlacement(t *testing.T) {
	refusals{
		{"no value", "", "4: placement: there is no value"},
		{"other", "binpack", `4: placement: "binpack" is none of spread, pack`},
		{"empty", `""`, `4: placement: "" is none of spread, pack`},
		{"upper case", "Pack", `4: placement: "Pack" is none of spread, pack`},
		{"list", "[pack]", "4: placement: this must be a text, not a list"},
	}.run(t, head+"networks: [{name: a}]\nplacement: ")
}

func TestParseAcceptsMaxPerNamespace(t *testing.T) {
	got, err := Parse("config.yaml", []byte(head+`networks:
  - {name: a, maxPerNamespace: 1}
  - {name: b, maxPerNamespace: 4096, resourceClass: SRIOV_NET_PF}
  - {name: c}
`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 4096, 0} {
		if got.Networks[i].MaxPerNamespace != want {
			t.Errorf("network %s: %d, wanted %d", got.Networks[i].Name, got.Networks[i].MaxPerNamespace, want)
		}
	}
}

func TestParseRefusesMaxPerNamespace(t *testing.T) {
	refusals{
		{"no value", "", "5: networks[0].maxPerNamespace: there is no value"},
		{"zero", "0", "5: networks[0].maxPerNamespace: 0 is not a number from 1 to 4096"},
		{"negative", "-1", "5: networks[0].maxPerNamespace: -1 is not a number from 1 to 4096"},
		{"many", "4097", "5: networks[0].maxPerNamespace: 4097 is not a number from 1 to 4096"},
		{"map", "{prod: 4}", "5: networks[0].maxPerNamespace: this must be a number, not a map"},
	}.run(t, head+"networks:\n  - name: a\n    maxPerNamespace: ")
}

// What the node finds by itself may be asked for, and not be given.
func TestFoundTraits(t *testing.T) {
	found := []string{"HW_NIC_SRIOV", "CUSTOM_DRIVER_IGB", "CUSTOM_VENDOR_8086", "CUSTOM_NUMA_0"}
	list := strings.Join(found, ", ")
	got, err := Parse("config.yaml", []byte(head+`networks:
  - {name: a, required: [`+list+`]}
  - {name: b, forbidden: [`+list+`]}
  - {name: c, anyOf: [[`+list+`]]}
providers:
  - {pf: a, traits: [HW_NIC_SRIOV, HW_NIC_ACCEL_SSL, CUSTOM_NUMA, CUSTOM_DRIVERS_A, CUSTOM_PF_A]}
`))
	if err != nil {
		t.Fatal(err)
	}
	for i, names := range [][]string{got.Networks[0].Required, got.Networks[1].Forbidden, got.Networks[2].AnyOf[0]} {
		if diff := cmp.Diff(found, names); diff != "" {
			t.Errorf("network %d (-want +got):\n%s", i, diff)
		}
	}
	no := func(place int, name, kind string) string {
		return "4: providers[0].traits[" + string(rune('0'+place)) + `]: "` + name + `" cannot be given: the node itself finds which traits ` +
			kind + "… a PF has; take a name that begins otherwise, such as CUSTOM_RACK_A"
	}
	refusals{
		{"driver", "CUSTOM_DRIVER_IGB", no(0, "CUSTOM_DRIVER_IGB", "CUSTOM_DRIVER_")},
		{"vendor", "CUSTOM_RACK_A, CUSTOM_VENDOR_8086", no(1, "CUSTOM_VENDOR_8086", "CUSTOM_VENDOR_")},
		{"NUMA node", "HW_NIC_SRIOV, CUSTOM_RACK_A, CUSTOM_NUMA_1", no(2, "CUSTOM_NUMA_1", "CUSTOM_NUMA_")},
		{"form", "CUSTOM_NUMA_a", `4: providers[0].traits[0]: "CUSTOM_NUMA_a" is not a trait: 1 to 255 of A-Z, 0-9 and _`},
	}.runFlow(t, head+"networks: [{name: a}]\nproviders: [{pf: a, traits: [", "]}]")
}
