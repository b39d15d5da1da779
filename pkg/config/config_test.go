package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

const head = "apiVersion: sriov.nri.io/v1alpha1\nkind: NodeConfig\n"

var byValue = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func TestParse(t *testing.T) {
	example, err := os.ReadFile("../../configs/examples/node-tenants.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("node-tenants.yaml", example)
	if err != nil {
		t.Fatal(err)
	}
	storage, capture := vf.DefaultSettings(), vf.DefaultSettings()
	storage.VLAN.ID = 200
	capture.SpoofCheck, capture.Trust, capture.LinkState = false, true, vf.LinkEnable
	want := &Node{
		Source: "node-tenants.yaml",
		Providers: []Provider{
			{PF: "enp1s0", NumVFs: 7, VFs: IDSet{0, 1, 2, 3, 4, 5}, Reserved: 1, Traits: []string{"CUSTOM_PHYSNET_PUBLIC"}},
			{Address: vf.PCIAddress{Bus: 2}, Traits: []string{"CUSTOM_PHYSNET_STORAGE", "CUSTOM_RACK_A"}},
		},
		Networks: []Network{
			{
				Name: "public", Device: DeviceNetdev, Namespaces: []string{"prod", "team-*"}, Required: []string{"CUSTOM_PHYSNET_PUBLIC"},
				Settings: vf.Settings{
					VLAN: vf.VLAN{ID: 100, QoS: 3, Protocol: vf.Protocol8021Q}, SpoofCheck: true, MaxTxRate: 1000,
				},
				MTU: 1500, AllowMAC: true, AllowIPs: true, MACPrefix: []byte{2, 0, 0},
				Subnets: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64")},
				Routes: []Route{
					{Dst: netip.MustParsePrefix("198.51.100.0/24"), GW: netip.MustParseAddr("192.0.2.1")},
				},
				CNIVersion: "1.1.0",
			},
			{
				Name: "storage", Device: DeviceNetdev, Forbidden: []string{"CUSTOM_SLOW"},
				AnyOf:    [][]string{{"CUSTOM_PHYSNET_STORAGE", "CUSTOM_PHYSNET_PUBLIC"}},
				Settings: storage, MTU: 9000, CNIVersion: "1.1.0",
			},
			{
				Name: "capture", Device: DeviceNetdev, Namespaces: []string{"monitoring"}, Settings: capture,
				CNIVersion: "1.1.0",
			},
		},
	}
	if diff := cmp.Diff(want, got, byValue); diff != "" {
		t.Errorf("node (-want +got):\n%s", diff)
	}
}

func TestParseStaticIPAM(t *testing.T) {
	got, err := Load("../../configs/examples/node-static-address.yaml")
	if err != nil {
		t.Fatal(err)
	}
	uplink, ok := got.Network("uplink")
	if !ok {
		t.Fatal("no network uplink")
	}
	want := &StaticIPAM{
		Addresses: []Address{
			{Prefix: netip.MustParsePrefix("192.0.2.10/24"), Gateway: netip.MustParseAddr("192.0.2.1")},
			{Prefix: netip.MustParsePrefix("2001:db8::10/64")},
		},
		Routes: []Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), GW: netip.MustParseAddr("192.0.2.1")}},
		DNS: DNS{
			Nameservers: []string{"192.0.2.53"}, Domain: "example.org", Search: []string{"example.org"},
			Options: []string{"ndots:2"},
		},
	}
	if diff := cmp.Diff(want, uplink.IPAM, byValue); diff != "" {
		t.Errorf("ipam (-want +got):\n%s", diff)
	}
	if uplink.Settings.VLAN != (vf.VLAN{ID: 300, Protocol: vf.Protocol8021AD}) || uplink.CNIVersion != "1.0.0" {
		t.Errorf("settings %s, cniVersion %s", uplink.Settings, uplink.CNIVersion)
	}
}

func TestParseDelegatedIPAM(t *testing.T) {
	got, err := Load("../../configs/examples/node-ipam-plugin.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"public": `{"ranges":[[{"gateway":"192.0.2.1","rangeEnd":"192.0.2.223","rangeStart":"192.0.2.32","subnet":"192.0.2.0/24"}],` +
			`[{"subnet":"2001:db8::/64"}]],"routes":[{"dst":"0.0.0.0/0"}],"type":"host-local"}`,
		"office": `{"type":"dhcp"}`,
		"cluster": `{"enable_overlapping_ranges":false,"exclude":["198.51.100.0/28"],"log_level":"error",` +
			`"range":"198.51.100.0/24","type":"whereabouts"}`,
	} {
		network, ok := got.Network(name)
		if !ok || network.Delegate == nil || network.IPAM != nil {
			t.Fatalf("network %s is %+v", name, network)
		}
		if text := string(network.Delegate.Config); text != want {
			t.Errorf("%s:\n got %s\nwant %s", name, text, want)
		}
	}
	if public, _ := got.Network("public"); !public.AllowIPs || public.Delegate.Type != "host-local" {
		t.Errorf("network public is %+v", public)
	}
}

// Every scalar keeps its type, every list and map its form, and no character is lost.
func TestDelegatedIPAMIsKeptAsItIs(t *testing.T) {
	got, err := Parse("config.yaml", []byte(head+`networks:
  - name: a
    ipam:
      z: "5"
      type: 4.ever_young-2
      Z-9_: -5
      list: [1, "1", true, "true", [], {}, text, 192.0.2.1, "<&>é\u2192\""]
      map: {b: {c: [{d: e}]}, a: null-text}
  - name: b
`))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"Z-9_":-5,"list":[1,"1",true,"true",[],{},"text","192.0.2.1","<&>é→\""],` +
		`"map":{"a":"null-text","b":{"c":[{"d":"e"}]}},"type":"4.ever_young-2","z":"5"}`
	if text := string(got.Networks[0].Delegate.Config); text != want {
		t.Errorf("\n got %s\nwant %s", text, want)
	}
	if got.Networks[1].Delegate != nil {
		t.Errorf("network b has the ipam %s", got.Networks[1].Delegate.Config)
	}
}

func TestParseWholePF(t *testing.T) {
	got, err := Load("../../configs/examples/node-whole-pf.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := []Network{
		{
			Name: "appliance", Device: DeviceNetdev, Namespaces: []string{"firewall"}, WholePF: true,
			Required: []string{"CUSTOM_APPLIANCE"},
			Settings: vf.DefaultSettings(), MTU: 9000, AllowMAC: true, AllowIPs: true,
			Routes:     []Route{{Dst: netip.MustParsePrefix("198.51.100.0/24"), GW: netip.MustParseAddr("192.0.2.1")}},
			CNIVersion: "1.1.0",
		},
		{
			Name: "public", Device: DeviceNetdev, Forbidden: []string{"CUSTOM_APPLIANCE"}, Settings: vf.DefaultSettings(),
			CNIVersion: "1.1.0",
		},
	}
	if diff := cmp.Diff(want, got.Networks, byValue); diff != "" {
		t.Errorf("networks (-want +got):\n%s", diff)
	}
}

func TestExamplesParse(t *testing.T) {
	files, err := filepath.Glob("../../configs/examples/node-*.yaml")
	if err != nil || len(files) < 7 {
		t.Fatalf("examples %q, %v", files, err)
	}
	for _, file := range files {
		node, err := Load(file)
		if err != nil {
			t.Error(err)
		} else if node.Source != file {
			t.Errorf("%s has the source %q", file, node.Source)
		}
	}
}

func TestMinimalFileIsDefault(t *testing.T) {
	got, err := Parse("config.yaml", []byte(minimalFile))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Source = "config.yaml"
	if diff := cmp.Diff(want, got, byValue); diff != "" {
		t.Errorf("minimal file (-default +got):\n%s", diff)
	}
	if example, err := os.ReadFile("../../configs/examples/node-minimal.yaml"); err != nil ||
		!strings.HasSuffix(string(example), minimalFile+"\n") {
		t.Errorf("node-minimal.yaml is not the minimal file: %v", err)
	}
}

func TestDefault(t *testing.T) {
	node := Default()
	if !node.OfferAll || len(node.Providers) != 0 || node.Source != "" || len(node.Networks) != 1 {
		t.Fatalf("default is %+v", node)
	}
	network, ok := node.Network("default")
	if !ok || !network.Admits("any") || network.AllowMAC || network.AllowIPs || network.IPAM != nil ||
		network.Device != DeviceNetdev {
		t.Errorf("network default is %+v", network)
	}
	if network.Settings != vf.DefaultSettings() {
		t.Errorf("settings are %s", network.Settings)
	}
	if _, ok := node.Network("other"); ok {
		t.Error("there is a network other")
	}
}

// What the format knows and this release does not do is accepted where it says what this release does anyway.
func TestParseAcceptsDefaultsThatAreNotSupportedOtherwise(t *testing.T) {
	got, err := Parse("config.yaml", []byte(head+`taint: false
networks:
  - name: default
    device: netdev
    resourceClass: SRIOV_NET_VF
    rdma: false
    vhostNet: false
    requireResource: false
    vlan: {id: 0, qos: 0, protocol: 802.1q}
    allow: []
    required: []
    linkState: auto
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Source = "config.yaml"
	if diff := cmp.Diff(want, got, byValue); diff != "" {
		t.Errorf("node (-default +got):\n%s", diff)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	node, err := Load(filepath.Join(dir, "absent.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), node, byValue); diff != "" {
		t.Errorf("absent file (-default +got):\n%s", diff)
	}
	if _, err := Load(dir); err == nil || !strings.HasPrefix(err.Error(), "read config: ") {
		t.Errorf("a directory: %v", err)
	}
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, []byte(strings.Repeat("#\n", MaxSize)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large); err == nil || err.Error() != large+": the file has more than 131072 bytes (128 KiB)" {
		t.Errorf("a large file: %v", err)
	}
}

func TestAdmits(t *testing.T) {
	tests := []struct {
		patterns []string
		yes, no  []string
	}{
		{nil, []string{"", "any"}, nil},
		{[]string{"prod"}, []string{"prod"}, []string{"", "prod2", "aprod"}},
		{[]string{"*"}, []string{"", "x", "kube-system"}, nil},
		{[]string{"team-*"}, []string{"team-", "team-a", "team-a-b"}, []string{"team", "ateam-a"}},
		{[]string{"*-prod"}, []string{"-prod", "a-prod", "a-prod-prod"}, []string{"prod", "a-prod-b"}},
		{[]string{"a*b*c"}, []string{"abc", "axbxc", "abbc", "abcbc"}, []string{"ac", "ab", "acb", "abcx"}},
		{[]string{"ab*ba"}, []string{"abba", "ab-ba"}, []string{"aba", "ab", "ba"}},
		{[]string{"a", "b*"}, []string{"a", "b", "bc"}, []string{"ac"}},
	}
	for _, test := range tests {
		network := Network{Namespaces: test.patterns}
		for _, namespace := range test.yes {
			if !network.Admits(namespace) {
				t.Errorf("%q do not admit %q", test.patterns, namespace)
			}
		}
		for _, namespace := range test.no {
			if network.Admits(namespace) {
				t.Errorf("%q admit %q", test.patterns, namespace)
			}
		}
	}
}
