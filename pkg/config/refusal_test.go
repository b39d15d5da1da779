package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// refusals hold what follows the head of a file, and the error without "config.yaml:".
type refusals []struct{ name, text, want string }

func (tests refusals) run(t *testing.T, before string) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node, err := Parse("config.yaml", []byte(before+test.text))
			if err == nil || node != nil {
				t.Fatalf("accepted as %+v, %v", node, err)
			}
			want := "config.yaml:" + strings.ReplaceAll(test.want, "\n", "\nconfig.yaml:")
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefusesFiles(t *testing.T) {
	networks := "networks: [{name: a}]\n"
	least := " there is nothing but blanks and comments; the least that a file says is:\n"
	for _, text := range []string{"", "\n", "# only\n# comments\n", "---\n"} {
		_, err := Parse("config.yaml", []byte(text))
		if want := "config.yaml:" + least + minimalFile; err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	refusals{
		{"broken YAML", "apiVersion: [", "1: not YAML: did not find expected node content"},
		{"text", "hello", "1: this must be a map, not a text"},
		{"NUL", "apiVersion: \x00", "1: the character U+0000 may not be in the text"},
		{"not UTF-8", "#\n#\xff", "2: byte 0xff is not UTF-8"},
		{
			"no head", networks,
			"1: apiVersion is missing; it must be sriov.nri.io/v1alpha1\n1: kind is missing; it must be NodeConfig",
		},
		{
			"other head", "apiVersion: v1\nkind: ConfigMap\n" + networks,
			"1: apiVersion: \"v1\" is unknown here; it must be sriov.nri.io/v1alpha1\n" +
				"2: kind: \"ConfigMap\" is unknown here; it must be NodeConfig",
		},
		{"no networks", head, "1: networks: no network is defined; the least is networks: [{name: default}]"},
		{"networks are null", head + "networks:\n", "3: networks: there is no value"},
		{"empty networks", head + "networks: []\n", "3: networks: no network is defined; the least is networks: [{name: default}]"},
		{
			"unknown key", head + "netwroks: []\n",
			`3: unknown key "netwroks"; known here are apiVersion, kind, providers, networks, hugepages, placement, taint`,
		},
		{"key twice", head + "kind: NodeConfig\n", `3: the key "kind" is there twice, first in line 2`},
		{"taint is no bool", head + networks + "taint: maybe\n", `4: taint: "maybe" is neither true nor false`},
	}.run(t, "")
}

func TestParseRefusesProviders(t *testing.T) {
	refusals{
		{"empty", "[]", "4: providers: the list is empty; leave it away to offer every PF that has VFs"},
		{"map", "{pf: eth1}", "4: providers: this must be a list, not a map"},
		{"no PF", "[{numVFs: 1}]", "4: providers[0]: pf or pciAddress is missing"},
		{
			"two PFs", `[{pf: eth1, pciAddress: "0000:01:00.0"}]`,
			"4: providers[0]: pf and pciAddress are both there; one of them names the PF",
		},
		{"same PF", "\n  - pf: eth1\n  - pf: eth1", "6: providers[1]: eth1 is already providers[0]"},
		{
			"same address", "\n  - pciAddress: \"0000:0A:00.0\"\n  - pciAddress: \"0000:0a:00.0\"",
			"6: providers[1]: 0000:0a:00.0 is already providers[0]",
		},
		{"PF of no name", `[{pf: ""}]`, "4: providers[0].pf: an interface name may not be empty"},
		{"long PF", "[{pf: enp1s0f0np0v0x00}]", `4: providers[0].pf: the interface name "enp1s0f0np0v0x00" is 16 characters long; at most 15 will do`},
		{"PF with a slash", "[{pf: a/b}]", `4: providers[0].pf: the interface name "a/b" may not hold '/'`},
		{"short address", `[{pciAddress: "01:00.0"}]`, `4: providers[0].pciAddress: "01:00.0" is not a PCI address such as 0000:01:00.0`},
		{"long address", `[{pciAddress: "0000:01:00.00000000"}]`, `4: providers[0].pciAddress: "0000:01:00.00000000" is not a PCI address such as 0000:01:00.0`},
		{"zero address", `[{pciAddress: "0000:00:00.0"}]`, "4: providers[0].pciAddress: 0000:00:00.0 is the root of the bus, not a PF"},
		{"negative numVFs", "[{pf: a, numVFs: -1}]", "4: providers[0].numVFs: -1 is not a number from 0 to 256"},
		{"many numVFs", "[{pf: a, numVFs: 257}]", "4: providers[0].numVFs: 257 is not a number from 0 to 256"},
		{"numVFs in quotes", "[{pf: a, numVFs: '7'}]", `4: providers[0].numVFs: "7" is a text; write it without quotes`},
		{"vfs as a number", "[{pf: a, vfs: 5}]", `4: providers[0].vfs: "5" without quotes is a number; as a text it needs quotes`},
		{"vfs of letters", "[{pf: a, vfs: all}]", `4: providers[0].vfs: "all" is not a set of VF numbers such as 0-3,6`},
		{"vfs of nothing", `[{pf: a, vfs: ""}]`, `4: providers[0].vfs: "" is not a set of VF numbers such as 0-3,6`},
		{"vfs downwards", "[{pf: a, vfs: 5-0}]", "4: providers[0].vfs: the range 5-0 goes downwards"},
		{"vfs overlap", `[{pf: a, vfs: "0-3,3"}]`, `4: providers[0].vfs: VF 3 is there twice in "0-3,3"`},
		{"vfs beyond", "[{pf: a, vfs: 0-256}]", `4: providers[0].vfs: "256" is not a VF number from 0 to 255`},
		{"negative reserved", "[{pf: a, reserved: -1}]", "4: providers[0].reserved: -1 is not a number from 0 to 256"},
		{"all reserved and more", "[{pf: a, vfs: 0-1, reserved: 3}]", `4: providers[0].reserved: 3 is more than the 2 VFs of vfs "0-1"`},
		{"trait", "[{pf: a, traits: [fast]}]", `4: providers[0].traits[0]: "fast" is not a trait: 1 to 255 of A-Z, 0-9 and _`},
		{"trait twice", "[{pf: a, traits: [A, B, A]}]", `4: providers[0].traits: "A" is there twice`},
	}.run(t, head+"networks: [{name: a}]\nproviders: ")
}

func TestParseRefusesNetworks(t *testing.T) {
	refusals{
		{"no name", "mtu: 1500", "4: networks[0]: name is missing"},
		{"upper case", "name: Public", `4: networks[0].name: "Public" is not a network name: 1 to 63 of a-z, 0-9, - and dot, with a letter or digit at both ends`},
		{"name ends in -", "name: a-", `4: networks[0].name: "a-" is not a network name: 1 to 63 of a-z, 0-9, - and dot, with a letter or digit at both ends`},
		{"name twice", "name: a\n  - name: b\n  - name: a", `6: networks[2].name: "a" is already networks[0]`},
		{
			"names collide", "name: a.b\n  - name: a-b",
			`5: networks[1].name: "a-b" and networks[0] "a.b" share the environment name A_B`,
		},
		{"empty namespaces", "name: a\n    namespaces: []", "5: networks[0].namespaces: the list is empty; leave it away to admit every namespace"},
		{"namespace", "name: a\n    namespaces: [Prod]", `5: networks[0].namespaces[0]: "Prod" is no pattern for namespaces: up to 63 of a-z, 0-9, - and *, such as team-*`},
		{"alias as a namespace", "name: a\n    namespaces: [*]", "5: not YAML: did not find expected alphabetic or numeric character"},
		{"device", "name: a\n    device: tap", `5: networks[0].device: "tap" is none of netdev, vfio`},
		{
			"whole PF with a VF's settings",
			"name: a\n    resourceClass: SRIOV_NET_PF\n    vlan: {id: 0}\n    spoofCheck: true\n    trust: false\n    minTxRate: 0\n    maxTxRate: 0\n    linkState: auto",
			"6: networks[0].vlan: a whole PF has no vlan; only a VF has (resourceClass: SRIOV_NET_VF)\n" +
				"7: networks[0].spoofCheck: a whole PF has no spoofCheck; only a VF has (resourceClass: SRIOV_NET_VF)\n" +
				"8: networks[0].trust: a whole PF has no trust; only a VF has (resourceClass: SRIOV_NET_VF)\n" +
				"9: networks[0].minTxRate: a whole PF has no minTxRate; only a VF has (resourceClass: SRIOV_NET_VF)\n" +
				"10: networks[0].maxTxRate: a whole PF has no maxTxRate; only a VF has (resourceClass: SRIOV_NET_VF)\n" +
				"11: networks[0].linkState: a whole PF has no linkState; only a VF has (resourceClass: SRIOV_NET_VF)",
		},
		{"resource class", "name: a\n    resourceClass: VGPU", `5: networks[0].resourceClass: "VGPU" is none of SRIOV_NET_VF, SRIOV_NET_PF`},
		{"resource without vendor", "name: a\n    resourceName: x", `5: networks[0].resourceName: "x" is not the name of a resource such as intel.com/sriov_netdevice`},
		{"resource with two slashes", "name: a\n    resourceName: a.b/c/d", `5: networks[0].resourceName: "a.b/c/d" is not the name of a resource such as intel.com/sriov_netdevice`},
		{"resource in upper case", "name: a\n    resourceName: Intel.com/x", `5: networks[0].resourceName: "Intel.com/x" is not the name of a resource such as intel.com/sriov_netdevice`},
		{"long resource", "name: a\n    resourceName: intel.com/x" + strings.Repeat("y", 63), `5: networks[0].resourceName: ` + strictyaml.Quote("intel.com/x"+strings.Repeat("y", 63)) + ` is not the name of a resource such as intel.com/sriov_netdevice`},
		{"empty resource", "name: a\n    resourceName: \"\"", `5: networks[0].resourceName: "" is not the name of a resource such as intel.com/sriov_netdevice`},
		{"resource of Kubernetes", "name: a\n    resourceName: node.kubernetes.io/x", `5: networks[0].resourceName: "node.kubernetes.io/x" cannot be the name of a device plugin's resource: Kubernetes keeps it for itself`},
		{"resource of a quota", "name: a\n    resourceName: requests.intel.com/x", `5: networks[0].resourceName: "requests.intel.com/x" cannot be the name of a device plugin's resource: Kubernetes keeps it for itself`},
		{"resource of ours", "name: a\n    resourceName: sriov.nri.io/b", `5: networks[0].resourceName: "sriov.nri.io/b" is a resource of nri-sriov itself; leave resourceName away, and sriov.nri.io/<network> is counted`},
		{"requireResource is no bool", "name: a\n    requireResource: 1", `5: networks[0].requireResource: "1" is neither true nor false`},
		{"RDMA of vfio", "name: a\n    device: vfio\n    rdma: true", "6: networks[0].rdma: a device that is bound to vfio has no RDMA device; rdma goes with device netdev"},
		{"rdma is no bool", "name: a\n    rdma: mlx5", `5: networks[0].rdma: "mlx5" is neither true nor false`},
		{"vhostNet is no bool", "name: a\n    vhostNet: 1", `5: networks[0].vhostNet: "1" is neither true nor false`},
		{"whole PF of vfio with a VF's setting", "name: a\n    device: vfio\n    resourceClass: SRIOV_NET_PF\n    trust: true", "7: networks[0].trust: a whole PF has no trust; only a VF has (resourceClass: SRIOV_NET_VF)"},
		{"trait", "name: a\n    required: [a]", `5: networks[0].required[0]: "a" is not a trait: 1 to 255 of A-Z, 0-9 and _`},
		{"long trait", "name: a\n    forbidden: [" + strings.Repeat("A", 256) + "]", `5: networks[0].forbidden[0]: "` + strings.Repeat("A", 64) + `"… is not a trait: 1 to 255 of A-Z, 0-9 and _`},
		{"required and forbidden", "name: a\n    required: [A]\n    forbidden: [B, A]", `6: networks[0].forbidden[1]: "A" is required, too`},
		{"anyOf of nothing", "name: a\n    anyOf: [[A], []]", "5: networks[0].anyOf[1]: an empty set of traits can never be met"},
		{"flat anyOf", "name: a\n    anyOf: [A]", "5: networks[0].anyOf[0]: this must be a list, not a text"},
		{"VLAN", "name: a\n    vlan:\n      id: 5000", "6: networks[0].vlan.id: 5000 is not a number from 0 to 4094"},
		{"VLAN 4095", "name: a\n    vlan: {id: 4095}", "5: networks[0].vlan.id: 4095 is not a number from 0 to 4094"},
		{"VLAN as a number", "name: a\n    vlan: 100", "5: networks[0].vlan: this must be a map, not a number"},
		{"VLAN without id", "name: a\n    vlan: {qos: 1}", "5: networks[0].vlan: id is missing; 0 is no VLAN"},
		{"VLAN priority", "name: a\n    vlan: {id: 1, qos: 8}", "5: networks[0].vlan.qos: 8 is not a number from 0 to 7"},
		{"priority without VLAN", "name: a\n    vlan: {id: 0, qos: 3}", "5: networks[0].vlan.qos: qos 3 needs a VLAN: an id from 1 to 4094"},
		{"protocol without VLAN", "name: a\n    vlan: {id: 0, protocol: 802.1ad}", "5: networks[0].vlan.protocol: protocol 802.1ad needs a VLAN: an id from 1 to 4094"},
		{"VLAN protocol", "name: a\n    vlan: {id: 1, protocol: qinq}", `5: networks[0].vlan.protocol: VLAN protocol "qinq" is neither 802.1q nor 802.1ad`},
		{"spoofCheck", "name: a\n    spoofCheck: off", `5: networks[0].spoofCheck: "off" is neither true nor false`},
		{"trust", "name: a\n    trust: 1", `5: networks[0].trust: "1" is neither true nor false`},
		{"rates", "name: a\n    minTxRate: 20\n    maxTxRate: 10", "5: networks[0].minTxRate: 20 is more than maxTxRate, which is 10"},
		{"negative rate", "name: a\n    maxTxRate: -1", "5: networks[0].maxTxRate: -1 is not a number from 0 to 4294967295"},
		{"huge rate", "name: a\n    minTxRate: 4294967296", "5: networks[0].minTxRate: 4294967296 is not a number from 0 to 4294967295"},
		{"link state", "name: a\n    linkState: up", `5: networks[0].linkState: link state "up" is none of auto, enable, disable`},
		{"small MTU", "name: a\n    mtu: 67", "5: networks[0].mtu: 67 is not a number from 68 to 65535"},
		{"MTU 0", "name: a\n    mtu: 0", "5: networks[0].mtu: 0 is not a number from 68 to 65535"},
		{"large MTU", "name: a\n    mtu: 65536", "5: networks[0].mtu: 65536 is not a number from 68 to 65535"},
		{"allow", "name: a\n    allow: [mac, vlan]", `5: networks[0].allow[1]: "vlan" is nothing that a pod could choose; mac and ips are`},
		{"allow twice", "name: a\n    allow: [mac, mac]", `5: networks[0].allow: "mac" is there twice`},
		{"macPrefix without allow", "name: a\n    macPrefix: \"02:00\"", `5: networks[0].macPrefix: macPrefix bounds a choice that no pod has; add "mac" to allow`},
		{"whole MAC as prefix", "name: a\n    allow: [mac]\n    macPrefix: \"02:00:00:00:00:00\"", `6: networks[0].macPrefix: "02:00:00:00:00:00" is not the beginning of a MAC address: 1 to 5 bytes such as 02:00:00`},
		{"multicast prefix", "name: a\n    allow: [mac]\n    macPrefix: \"03:00\"", "6: networks[0].macPrefix: 03:00 begins multicast addresses; a pod's MAC is a unicast address"},
		{"prefix in base 60", "name: a\n    allow: [mac]\n    macPrefix: 12:00:00", `6: networks[0].macPrefix: "12:00:00" without quotes is not a text to every reader of YAML; it needs quotes`},
		{"subnets without allow", "name: a\n    subnets: [192.0.2.0/24]", `5: networks[0].subnets: subnets bound a choice that no pod has; add "ips" to allow`},
		{"empty subnets", "name: a\n    allow: [ips]\n    subnets: []", "6: networks[0].subnets: the list is empty; leave it away for no bounds"},
		{"subnet", "name: a\n    allow: [ips]\n    subnets: [192.0.2.0]", `6: networks[0].subnets[0]: "192.0.2.0" is not a network such as 192.0.2.0/24 or 2001:db8::/64`},
		{"host bits", "name: a\n    allow: [ips]\n    subnets: [192.0.2.10/24]", "6: networks[0].subnets[0]: 192.0.2.10/24 has host bits; its network is 192.0.2.0/24"},
		{"mapped subnet", "name: a\n    allow: [ips]\n    subnets: [\"::ffff:192.0.2.0/120\"]", `6: networks[0].subnets[0]: "::ffff:192.0.2.0/120" is not a network such as 192.0.2.0/24 or 2001:db8::/64`},
		{"route to nowhere", "name: a\n    routes: [{gw: 192.0.2.1}]", "5: networks[0].routes[0]: dst is missing"},
		{"route with host bits", "name: a\n    routes: [{dst: 198.51.100.1/24}]", "5: networks[0].routes[0].dst: 198.51.100.1/24 has host bits; its network is 198.51.100.0/24"},
		{"route twice", "name: a\n    routes:\n    - {dst: 198.51.100.0/24}\n    - {dst: 198.51.100.0/24}", "7: networks[0].routes[1].dst: 198.51.100.0/24 is already the destination of route 1"},
		{"families", "name: a\n    routes: [{dst: 198.51.100.0/24, gw: \"2001:db8::1\"}]", "5: networks[0].routes[0].gw: 2001:db8::1 and 198.51.100.0/24 are of different families"},
		{"gateway", "name: a\n    routes: [{dst: 198.51.100.0/24, gw: router}]", `5: networks[0].routes[0].gw: "router" is not an IP address such as 192.0.2.1`},
		{"zone", "name: a\n    routes: [{dst: \"fd00::/64\", gw: \"fe80::1%eth0\"}]", `5: networks[0].routes[0].gw: "fe80::1%eth0" is not an IP address such as 192.0.2.1`},
		{"multicast gateway", "name: a\n    routes: [{dst: 198.51.100.0/24, gw: 224.0.0.1}]", "5: networks[0].routes[0].gw: 224.0.0.1 cannot be a gateway"},
		{"cniVersion", "name: a\n    cniVersion: 0.2.0", `5: networks[0].cniVersion: "0.2.0" is none of 1.1.0, 0.3.1, 0.4.0, 1.0.0`},
		{
			"unknown key", "name: a\n    pf: eth1",
			`5: networks[0]: unknown key "pf"; known here are name, namespaces, maxPerNamespace, device, resourceClass, resourceName, ` +
				`requireResource, required, forbidden, anyOf, vlan, spoofCheck, trust, minTxRate, maxTxRate, linkState, mtu, ` +
				`allow, macPrefix, subnets, rdma, vhostNet, routes, ipam, cniVersion`,
		},
		{"two at once", "name: A\n    mtu: 1", "4: networks[0].name: \"A\" is not a network name: 1 to 63 of a-z, 0-9, - and dot, with a letter or digit at both ends\n5: networks[0].mtu: 1 is not a number from 68 to 65535"},
	}.run(t, head+"networks:\n  - ")
}

func TestParseRefusesIPAM(t *testing.T) {
	refusals{
		{"null", "", "5: networks[0].ipam: there is no value"},
		{"text", "static", "5: networks[0].ipam: this must be a map, not a text"},
		{"no type", "{subnet: 192.0.2.0/24}", "5: networks[0].ipam: type is missing: static, or the file name of a CNI IPAM plugin such as host-local"},
		{"type as a number", "{type: 5}", `5: networks[0].ipam.type: "5" without quotes is a number; as a text it needs quotes`},
		{"path as a type", "{type: ../../bin/sh}", `5: networks[0].ipam.type: "../../bin/sh" is not the file name of a plugin: 1 to 63 of a-z, 0-9, dot, _ and -, with a letter or digit at both ends; static is built in`},
		{"upper case type", "{type: Static}", `5: networks[0].ipam.type: "Static" is not the file name of a plugin: 1 to 63 of a-z, 0-9, dot, _ and -, with a letter or digit at both ends; static is built in`},
		{"no value for a plugin", "{type: dhcp, request: }", "5: networks[0].ipam.request: there is no value"},
		{"ambiguous values", "{type: dhcp, a: yes, b: [0777, 1.5]}", `5: networks[0].ipam.a: "yes" without quotes is not a text to every reader of YAML; it needs quotes` + "\n" +
			`5: networks[0].ipam.b[0]: "0777" without quotes is not a text to every reader of YAML; it needs quotes` + "\n" +
			`5: networks[0].ipam.b[1]: "1.5" without quotes is not a text to every reader of YAML; it needs quotes`},
		{"huge number", "{type: dhcp, a: 9223372036854775808}", `5: networks[0].ipam.a: "9223372036854775808" is out of range`},
		{"key with a dot", "{type: dhcp, a: {b.c: {d: 1}}}", `5: networks[0].ipam.a["b_c"]: a key in a plugin's configuration has 1 to 64 of A-Z, a-z, 0-9, _ and -`},
		{"alias", "{type: dhcp, a: &x 1}", `5: networks[0].ipam.a: the anchor "&x" is not accepted`},
		{"deep", "{type: dhcp, a: [[[[[[[[]]]]]]]]}", "5: networks[0].ipam.a[0][0][0][0][0][0][0]: lists and maps lie more than 8 deep in each other"},
		{"large", "{type: dhcp, a: '" + strings.Repeat("x", maxDelegateSize) + "'}", "5: networks[0].ipam: the configuration has more than 16384 bytes of JSON (16 KiB)"},
		{"unknown key", "{type: static, subnet: 192.0.2.0/24}", `5: networks[0].ipam: unknown key "subnet"; known here are type, addresses, routes, dns`},
		{"no addresses", "{type: static}", `5: networks[0].ipam: addresses are missing, and pods may not choose their own; "allow" lacks "ips"`},
		{"address without address", "{type: static, addresses: [{}]}", "5: networks[0].ipam.addresses[0]: address is missing"},
		{"no length", "{type: static, addresses: [{address: 192.0.2.10}]}", `5: networks[0].ipam.addresses[0].address: "192.0.2.10" is not an address with the length of its prefix, such as 192.0.2.10/24`},
		{"network", "{type: static, addresses: [{address: 192.0.2.0/24}]}", "5: networks[0].ipam.addresses[0].address: 192.0.2.0/24 is the address of a network; an interface cannot have it"},
		{"address twice", "{type: static, addresses: [{address: 192.0.2.1/24}, {address: 192.0.2.1/25}]}", "5: networks[0].ipam.addresses[1].address: 192.0.2.1 is there twice"},
		{"own gateway", "{type: static, addresses: [{address: 192.0.2.1/24, gateway: 192.0.2.1}]}", "5: networks[0].ipam.addresses[0].gateway: 192.0.2.1 is the address itself"},
		{"family of the gateway", "{type: static, addresses: [{address: 192.0.2.1/24, gateway: \"fe80::1\"}]}", "5: networks[0].ipam.addresses[0].gateway: fe80::1 and 192.0.2.1/24 are of different families"},
		{"name server", "{type: static, addresses: [{address: 192.0.2.1/24}], dns: {nameservers: [ns1]}}", `5: networks[0].ipam.dns.nameservers[0]: "ns1" is not the IP address of a name server`},
		{"domain", "{type: static, addresses: [{address: 192.0.2.1/24}], dns: {domain: \"a b\"}}", `5: networks[0].ipam.dns.domain: "a b" is not a domain name`},
		{"search", "{type: static, addresses: [{address: 192.0.2.1/24}], dns: {search: [a..b]}}", `5: networks[0].ipam.dns.search[0]: "a..b" is not a domain name`},
		{"option", "{type: static, addresses: [{address: 192.0.2.1/24}], dns: {options: [\"ndots 2\"]}}", `5: networks[0].ipam.dns.options[0]: a resolver option is one word, such as ndots:2, not "ndots 2"`},
	}.run(t, head+"networks:\n  - name: a\n    ipam: ")
}

func TestParseInterfaceAddressRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"0.0.0.0/8":                     "0.0.0.0/8 is the unspecified address; an interface cannot have it",
		"::/64":                         "::/64 is the unspecified address; an interface cannot have it",
		"192.0.2.1/0":                   "192.0.2.1/0 has a prefix of length 0",
		"224.0.0.1/24":                  "224.0.0.1/24 is a multicast address; an interface cannot have it",
		"ff02::1/64":                    "ff02::1/64 is a multicast address; an interface cannot have it",
		"127.0.0.1/8":                   "127.0.0.1/8 is a loopback address; an interface cannot have it",
		"::1/128":                       "::1/128 is a loopback address; an interface cannot have it",
		"255.255.255.255/32":            "255.255.255.255/32 is a broadcast address; an interface cannot have it",
		"192.0.2.255/24":                "192.0.2.255/24 is a broadcast address; an interface cannot have it",
		"192.0.2.4/30":                  "192.0.2.4/30 is the address of a network; an interface cannot have it",
		"::ffff:192.0.2.1/120":          `"::ffff:192.0.2.1/120" is not an address with the length of its prefix, such as 192.0.2.10/24`,
		"fe80::1%eth0/64":               `"fe80::1%eth0/64" is not an address with the length of its prefix, such as 192.0.2.10/24`,
		"192.0.2.1/33":                  `"192.0.2.1/33" is not an address with the length of its prefix, such as 192.0.2.10/24`,
		"192.0.2.010/24":                `"192.0.2.010/24" is not an address with the length of its prefix, such as 192.0.2.10/24`,
		strings.Repeat("1", 65) + "/24": `"` + strings.Repeat("1", 64) + `"… is not an address with the length of its prefix, such as 192.0.2.10/24`,
	} {
		if _, err := ParseInterfaceAddress(text); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{"192.0.2.0/31", "192.0.2.1/31", "192.0.2.0/32", "2001:db8::/64", "fe80::1/64"} {
		if _, err := ParseInterfaceAddress(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
