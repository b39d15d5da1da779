package request

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-sriov/nri-sriov/pkg/config"
)

const nodeText = `apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
networks:
  - {name: public, namespaces: [prod, "team-*"]}
  - {name: storage}
  - {name: open, allow: [mac, ips]}
  - {name: bounded, allow: [mac, ips], macPrefix: "02:00:00", subnets: ["192.0.2.0/24", "2001:db8::/64", "192.0.0.0/16"]}
  - {name: narrow, allow: [ips], subnets: ["192.0.2.128/25"]}
  - {name: scarce, maxPerNamespace: 3}
  - {name: secret, namespaces: [ops]}
`

func node(t *testing.T, text string) *config.Node {
	t.Helper()
	n, err := config.Parse("config.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAuthorise(t *testing.T) {
	n := node(t, nodeText)
	for _, text := range []string{
		"public, storage, public",
		`[{network: open, mac: "06:00:00:00:00:11", ips: ["203.0.113.9/8"]}]`,
		`[{network: bounded, mac: "02:00:00:ff:00:11", ips: ["192.0.2.10/24", "192.0.2.11/32", "2001:db8::1/64", "192.0.2.12/20"]}]`,
		`[{network: narrow, ips: ["192.0.2.129/25"]}]`,
		"[{network: scarce, count: 2}, {network: storage, count: 9}, {network: scarce}]",
	} {
		pod, err := Parse(text, "")
		if err != nil {
			t.Fatal(err)
		}
		granted, err := Authorise(pod, n, "team-blue")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if len(granted) != len(pod.Groups) {
			t.Fatalf("%s: %d of %d groups", text, len(granted), len(pod.Groups))
		}
		for i, one := range granted {
			if diff := cmp.Diff(pod.Groups[i], one.Group, byValue); diff != "" {
				t.Errorf("%s: group %d (-want +got):\n%s", text, i, diff)
			}
			if want, _ := n.Network(one.Group.Network); one.Network != want {
				t.Errorf("%s: group %d has the network %+v", text, i, one.Network)
			}
		}
	}
}

func TestAuthoriseRefuses(t *testing.T) {
	tests := []struct{ name, text, namespace, want string }{
		{"unknown network", "nowhere", "dev", `network "nowhere": the node does not define it; namespace "dev" may use bounded, narrow, open, scarce, storage`},
		{"namespace", "public", "dev", `network "public": namespace "dev" may not use it; namespace "dev" may use bounded, narrow, open, scarce, storage`},
		{"the second group", "storage, public", "team", `network "public": namespace "team" may not use it; namespace "team" may use bounded, narrow, open, scarce, storage`},
		{"MAC", `[{network: public, mac: "02:00:00:00:00:11"}]`, "prod", `network "public": a pod may not choose its MAC here; the admin's "allow" lacks "mac"`},
		{"IPs", `[{network: public, ips: [192.0.2.10/24]}]`, "prod", `network "public": a pod may not choose its IPs here; the admin's "allow" lacks "ips"`},
		{"MAC where IPs are allowed", `[{network: narrow, mac: "02:00:00:00:00:11"}]`, "dev", `network "narrow": a pod may not choose its MAC here; the admin's "allow" lacks "mac"`},
		{"MAC outside", `[{network: bounded, mac: "02:00:01:00:00:11"}]`, "dev", `network "bounded": MAC 02:00:01:00:00:11 does not begin with the admin's macPrefix 02:00:00`},
		{"IP outside", `[{network: bounded, ips: [203.0.113.9/24]}]`, "dev", `network "bounded": IP 203.0.113.9/24 lies in none of the admin's subnets: 192.0.2.0/24, 2001:db8::/64, 192.0.0.0/16`},
		{"second IP outside", `[{network: narrow, ips: [192.0.2.130/25, 192.0.2.1/25]}]`, "dev", `network "narrow": IP 192.0.2.1/25 lies in none of the admin's subnets: 192.0.2.128/25`},
		{"IP of a wide prefix", `[{network: narrow, ips: [192.0.2.130/24]}]`, "dev", `network "narrow": IP 192.0.2.130/24 reaches beyond the admin's subnet 192.0.2.128/25; its prefix may not be shorter than /25`},
		{"more than a namespace may have", "[{network: scarce, count: 4}]", "dev", `network "scarce": the pod asks for 4 at a time; the pods of one namespace together may have 3 of it on this node (the admin's maxPerNamespace)`},
		{"more in two groups", "[{network: scarce, count: 3}, {network: storage}, {network: scarce, count: 2}]", "dev", `network "scarce": the pod asks for 5 at a time; the pods of one namespace together may have 3 of it on this node (the admin's maxPerNamespace)`},
	}
	n := node(t, nodeText)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pod, err := Parse(test.text, "")
			if err != nil {
				t.Fatal(err)
			}
			granted, err := Authorise(pod, n, test.namespace)
			if err == nil || granted != nil {
				t.Fatalf("granted %+v, %v", granted, err)
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAuthoriseWithoutAnyNetwork(t *testing.T) {
	closed := node(t, "apiVersion: sriov.nri.io/v1alpha1\nkind: NodeConfig\nnetworks: [{name: secret, namespaces: [ops]}]")
	for network, want := range map[string]string{
		"secret": `network "secret": namespace "dev" may not use it; no network of this node is open to namespace "dev"`,
		"other":  `network "other": the node does not define it; no network of this node is open to namespace "dev"`,
	} {
		_, err := Authorise(Pod{Groups: []Group{group(network, "net1")}}, closed, "dev")
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
