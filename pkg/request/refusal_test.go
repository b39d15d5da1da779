package request

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	notAName  = " is not a network name: 1 to 63 of a-z, 0-9, - and dot, with a letter or digit at both ends"
	wantKnown = "known here are network, name, count, required, forbidden, containers, mac, ips"
)

func TestParseRefuses(t *testing.T) {
	addresses := strings.TrimSuffix(strings.Repeat(`"192.0.2.10/24",`, 17), ",")
	tests := []struct{ name, text, want string }{
		{"empty", "", "the annotation is empty; it must be " + wantedForm},
		{"blanks", " \n\t ", "the annotation is empty; it must be " + wantedForm},
		{"comment", "# nothing", "there is nothing but blanks and comments; it must be " + wantedForm},
		{"empty list", "[]", "the list is empty; a pod that asks for nothing leaves the annotation away"},
		{"20 KiB", strings.Repeat("a", 20<<10), "20480 bytes are too many; at most 16384 (16 KiB) will do"},
		{"map", "network: public", "it must be " + wantedForm + ", not a map"},
		{"broken YAML", "[{network: public", "line 1: not YAML: did not find expected ',' or '}'"},
		{"broken YAML below", "- network: a\n  name: 'b\n", "line 2: not YAML: found unexpected end of stream"},
		{"broken JSON", `[{"network": "public"},`, "line 1: not YAML: did not find expected node content"},
		{"two documents", "- a\n---\n- b", "line 2: a second document begins here; there may be only one"},
		{"anchor", "- &a public\n- *a", `entry 1: the anchor "&a" is not accepted`},
		{"NUL", "public\x00", "line 1: the character U+0000 may not be in the text"},
		{"not UTF-8", "public\xff", "line 1: byte 0xff is not UTF-8"},
		{"escape character", `- {network: "a\e[2J"}`, "entry 1: network: the character U+001B may not be in a value"},
		{"null as an entry", "- a\n-", "entry 2: there is no value"},
		{"number as an entry", "[5]", `entry 1: "5" without quotes is a number; as a text it needs quotes`},
		{"list as an entry", "[[a]]", "entry 1: this must be a text, not a list"},
		{"empty short entry", "public,,storage", "entry 2: the entry is empty"},
		{"comma at the end", "public,", "entry 2: the entry is empty"},
		{"short without network", "@eth1", `entry 1: "@eth1" has no network before the @`},
		{"short without name", "public, storage@", `entry 2: "storage@" has no interface name after the @`},
		{"short with two names", "public@a@b", `entry 1: name: the interface name "a@b" may not hold '@'`},
		{"short with blanks", "public storage", `entry 1: network: "public storage"` + notAName},
		{"short with colons", "public@a:b", `entry 1: name: the interface name "a:b" may not hold ':'`},
		{"short list in a list", "- public, storage", `entry 1: network: "public, storage"` + notAName},
		{"other marks", "public/net1", `entry 1: network: "public/net1"` + notAName},
		{"unknown key", "- network: public\n- network: public\n  vlan: 5", `entry 2: unknown key "vlan"; ` + wantKnown},
		{"PF", "[{network: public, pf: enp1s0}]", `entry 1: unknown key "pf"; ` + wantKnown},
		{"key in another case", "[{network: public, Name: a}]", `entry 1: unknown key "Name"; ` + wantKnown},
		{"key twice", "[{network: public, network: b}]", `entry 1: the key "network" is there twice, first in line 1`},
		{"no network", "[{name: eth1}]", "entry 1: network is missing"},
		{"null network", "[{network: }]", "entry 1: network: there is no value"},
		{"network as a number", "[{network: 100}]", `entry 1: network: "100" without quotes is a number; as a text it needs quotes`},
		{"network in upper case", "[{network: Public}]", `entry 1: network: "Public"` + notAName},
		{"long network", "[{network: " + strings.Repeat("a", 64) + "}]", `entry 1: network: "` + strings.Repeat("a", 64) + `"` + notAName},
		{"no count", "[{network: a, count: 0}]", "entry 1: count: 0 is not a number from 1 to 32"},
		{"negative count", "[{network: a, count: -1}]", "entry 1: count: -1 is not a number from 1 to 32"},
		{"large count", "[{network: a, count: 33}]", "entry 1: count: 33 is not a number from 1 to 32"},
		{"count in quotes", `[{network: a, count: "2"}]`, `entry 1: count: "2" is a text; write it without quotes`},
		{"count in parts", `[{network: a, count: 1.5}]`, `entry 1: count: "1.5" is not a whole decimal number`},
		{"33 VFs", "[{network: a, count: 32}, {network: b}]", "33 VFs in total are too many; a pod may ask for 32"},
		{"33 short entries", strings.Repeat("a,", 32) + "a", "33 VFs in total are too many; a pod may ask for 32"},
		{"name of no length", `[{network: a, name: ""}]`, "entry 1: name: an interface name may not be empty"},
		{"long name", "[{network: a, name: abcdefghijklmnop}]", `entry 1: name: the interface name "abcdefghijklmnop" is 16 characters long; at most 15 will do`},
		{
			"long name with a number", "[{network: a, name: abcdefghijklmn, count: 11}]",
			`entry 1: name: the interface name "abcdefghijklmn10" is 16 characters long; at most 15 will do (count 11 adds a number to name "abcdefghijklmn")`,
		},
		{"slash", "[{network: a, name: a/b}]", `entry 1: name: the interface name "a/b" may not hold '/'`},
		{"percent", "[{network: a, name: eth%d}]", `entry 1: name: the interface name "eth%d" may not hold '%'`},
		{"percent in the short form", "a@eth%d", `entry 1: name: the interface name "eth%d" may not hold '%'`},
		{"colon", `[{network: a, name: "eth1:0"}]`, `entry 1: name: the interface name "eth1:0" may not hold ':'`},
		{"space", "[{network: a, name: a b}]", `entry 1: name: the interface name "a b" may not hold ' '`},
		{"letter beyond ASCII", "[{network: a, name: netz-ü}]", `entry 1: name: the interface name "netz-ü" may not hold 'ü'`},
		{"dash in front", "[{network: a, name: -a}]", `entry 1: name: the interface name "-a" must begin with a letter, a digit or _`},
		{"lo", "[{network: a}, {network: b, name: lo}]", `entry 2: name: "lo" is the pod's loopback interface`},
		{"eth0", "[{network: a, name: eth0}]", `entry 1: name: "eth0" is the interface of the pod's own network`},
		{"generated eth0", "[{network: a, name: eth, count: 2}]", `entry 1: name: "eth0" is the interface of the pod's own network (count 2 adds a number to name "eth")`},
		{"dot", "[{network: a, name: .}]", `entry 1: name: "." is a directory`},
		{"dots", "[{network: a, name: ..}]", `entry 1: name: ".." is a directory`},
		{"dot in front", "[{network: a, name: .a}]", `entry 1: name: the interface name ".a" must begin with a letter, a digit or _`},
		{"all", "[{network: a, name: all}]", `entry 1: name: "all" means every interface to Linux`},
		{"default", "[{network: a, name: default}]", `entry 1: name: "default" means every new interface to Linux`},
		{"name twice", "a@eth1, b, c@eth1", `entry 3: name: "eth1" is already the name of an interface of entry 1`},
		{"generated name twice", "[{network: a, name: data1}, {network: b, name: data, count: 2}]", `entry 2: name: "data1" is already the name of an interface of entry 1`},
		{"trait", "[{network: a, required: [fast]}]", `entry 1: required: "fast" is not a trait: 1 to 255 of A-Z, 0-9 and _`},
		{"forbidden trait", "[{network: a, forbidden: ['']}]", `entry 1: forbidden: "" is not a trait: 1 to 255 of A-Z, 0-9 and _`},
		{"trait twice", "[{network: a, forbidden: [A, A]}]", `entry 1: forbidden: "A" is there twice`},
		{"required and forbidden", "[{network: a, required: [A, B], forbidden: [B]}]", "entry 1: the trait B is both required and forbidden"},
		{"one trait", "[{network: a, required: A}]", "entry 1: required: this must be a list, not a text"},
		{"no containers", "[{network: a, containers: []}]", "entry 1: containers: the list is empty; leave it away for every container"},
		{"container", "[{network: a, containers: [App]}]", `entry 1: containers: "App" is not the name of a container: 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends`},
		{"container twice", "[{network: a, containers: [b, b]}]", `entry 1: containers: "b" is there twice`},
		{"multicast MAC", `[{network: a, mac: "01:00:5e:00:00:01"}]`, "entry 1: mac: MAC address 01:00:5e:00:00:01 is a multicast address"},
		{"broadcast MAC", `[{network: a, mac: "ff:ff:ff:ff:ff:ff"}]`, "entry 1: mac: MAC address ff:ff:ff:ff:ff:ff is a multicast address"},
		{"zero MAC", `[{network: a, mac: "00:00:00:00:00:00"}]`, "entry 1: mac: MAC address 00:00:00:00:00:00 is all zero"},
		{"MAC with dashes", "[{network: a, mac: 02-00-00-00-00-11}]", `entry 1: mac: "02-00-00-00-00-11" is not a MAC address such as 02:00:00:00:00:11`},
		{"no MAC", `[{network: a, mac: ""}]`, `entry 1: mac: "" is not a MAC address such as 02:00:00:00:00:11`},
		{"MAC in base 60", "[{network: a, mac: 12:00:00:00:00:11}]", `entry 1: mac: "12:00:00:00:00:11" without quotes is not a text to every reader of YAML; it needs quotes`},
		{"MAC for two", `[{network: a, count: 2, mac: "02:00:00:00:00:11"}]`, "entry 1: mac: one address cannot serve 2 VFs; write an entry for each"},
		{"IPs for two", "[{network: a, count: 2, ips: [192.0.2.10/24]}]", "entry 1: ips: the addresses of one VF cannot serve 2; write an entry for each"},
		{"IP without length", "[{network: a, ips: [192.0.2.10]}]", `entry 1: ips: "192.0.2.10" is not an address with the length of its prefix, such as 192.0.2.10/24`},
		{"network as an IP", "[{network: a, ips: [192.0.2.0/24]}]", "entry 1: ips: 192.0.2.0/24 is the address of a network; an interface cannot have it"},
		{"broadcast as an IP", "[{network: a, ips: [192.0.2.255/24]}]", "entry 1: ips: 192.0.2.255/24 is a broadcast address; an interface cannot have it"},
		{"multicast IP", "[{network: a, ips: [224.0.0.5/24]}]", "entry 1: ips: 224.0.0.5/24 is a multicast address; an interface cannot have it"},
		{"loopback IP", "[{network: a, ips: [127.0.0.1/8]}]", "entry 1: ips: 127.0.0.1/8 is a loopback address; an interface cannot have it"},
		{"unspecified IP", "[{network: a, ips: ['::/64']}]", "entry 1: ips: ::/64 is the unspecified address; an interface cannot have it"},
		{"IP twice", "[{network: a, ips: [192.0.2.10/24, 192.0.2.10/25]}]", "entry 1: ips: 192.0.2.10 is there twice"},
		{"17 IPs", "[{network: a, ips: [" + addresses + "]}]", "entry 1: ips: 17 addresses are too many; at most 16 will do"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pod, err := Parse(test.text, "")
			if err == nil {
				t.Fatalf("accepted as %+v", pod)
			}
			if diff := cmp.Diff(NetworksAnnotation+": "+test.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}
