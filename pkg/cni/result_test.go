package cni

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types/create"
	"github.com/google/go-cmp/cmp"
)

func attachment(version string) Attachment {
	return Attachment{
		Version: version, Interfaces: []Interface{{Name: "net1", MAC: "02:00:00:00:00:11", MTU: 1500}}, Sandbox: "/run/netns/x", PCIID: "0000:01:10.0",
		Addresses: []Address{
			{Prefix: netip.MustParsePrefix("192.0.2.10/24"), Gateway: netip.MustParseAddr("192.0.2.1")},
			{Prefix: netip.MustParsePrefix("2001:db8::10/64")},
		},
		Routes: []Route{{Destination: netip.MustParsePrefix("198.51.100.0/24"), Gateway: netip.MustParseAddr("192.0.2.1")}},
		DNS:    DNS{Nameservers: []string{"192.0.2.53"}},
	}
}

func TestResultInEachVersion(t *testing.T) {
	const routes = `"routes":[{"dst":"198.51.100.0/24","gw":"192.0.2.1"}]`
	old := `"interfaces":[{"name":"net1","mac":"02:00:00:00:00:11","sandbox":"/run/netns/x"}],` +
		`"ips":[{"version":"4","interface":0,"address":"192.0.2.10/24","gateway":"192.0.2.1"},{"version":"6","interface":0,"address":"2001:db8::10/64"}],`
	for version, want := range map[string]string{
		"0.3.1": old, "0.4.0": old,
		"1.0.0": `"interfaces":[{"mac":"02:00:00:00:00:11","name":"net1","sandbox":"/run/netns/x"}],`,
		"1.1.0": `"interfaces":[{"mac":"02:00:00:00:00:11","mtu":1500,"name":"net1","pciID":"0000:01:10.0","sandbox":"/run/netns/x"}],`,
	} {
		text, err := attachment(version).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{want, routes, `"cniVersion":"` + version + `"`, `"dns":{"nameservers":["192.0.2.53"]}`} {
			if !strings.Contains(sorted(t, text), sorted(t, []byte("{"+strings.TrimSuffix(part, ",")+"}"))) {
				t.Errorf("%s: no %s in %s", version, part, text)
			}
		}
		// What libcni reads is what was written.
		result, err := create.Create(version, text)
		if err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		if result.Version() != version {
			t.Errorf("%s is read as %s", version, result.Version())
		}
	}
}

func TestLayer2HasNoAddresses(t *testing.T) {
	text, err := Attachment{Version: "1.1.0", Interfaces: []Interface{{Name: "net1", MAC: "02:00:00:00:00:11"}}}.Result()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"cniVersion":"1.1.0","interfaces":[{"mac":"02:00:00:00:00:11","name":"net1"}]}`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownVersion(t *testing.T) {
	if _, err := attachment("3.0.0").Result(); err == nil {
		t.Error("version 3.0.0 was written")
	}
}

// sorted writes JSON with its keys in order and without its outer braces, so that parts can be found in it.
func sorted(t *testing.T, text []byte) string {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	again, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(string(again), "{"), "}")
}
