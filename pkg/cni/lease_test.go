package cni

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var byValue = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

// good is what a plugin answers in each version, with an interface that is not the caller's.
var good = map[string]string{
	"0.3.1": `{"cniVersion":"0.3.1","interfaces":[{"name":"x"}],"ips":[{"version":"4","interface":7,"address":"192.0.2.5/24","gateway":"192.0.2.1"},{"version":"6","address":"2001:db8::5/64"}],"routes":[{"dst":"0.0.0.0/0"},{"dst":"2001:db8:1::1/48"}],"dns":{"nameservers":["192.0.2.53"]}}`,
	"0.4.0": `{"cniVersion":"0.4.0","ips":[{"version":"4","interface":0,"address":"192.0.2.5/24","gateway":"192.0.2.1"},{"version":"6","address":"2001:db8::5/64"}],"routes":[{"dst":"0.0.0.0/0","gw":"192.0.2.1"},{"dst":"2001:db8:1::1/48"}],"dns":{"nameservers":["192.0.2.53"]}}`,
	"1.0.0": `{"cniVersion":"1.0.0","ips":[{"address":"192.0.2.5/24","gateway":"192.0.2.1"},{"address":"2001:db8::5/64","gateway":"::"}],"routes":[{"dst":"0.0.0.0/0"},{"dst":"2001:db8:1::1/48"}],"dns":{"nameservers":["192.0.2.53"]}}`,
	"1.1.0": `{"cniVersion":"1.1.0","interfaces":[null],"ips":[{"address":"192.0.2.5/24","gateway":"192.0.2.1"},{"address":"2001:db8::5/64"}],"routes":[{"dst":"0.0.0.0/0"},{"dst":"2001:db8:1::1/48"}],"dns":{"nameservers":["192.0.2.53"]}}`,
}

var goodLease = Lease{
	Addresses: []Address{
		{Prefix: netip.MustParsePrefix("192.0.2.5/24"), Gateway: netip.MustParseAddr("192.0.2.1")},
		{Prefix: netip.MustParsePrefix("2001:db8::5/64")},
	},
	Routes: []Route{
		{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.1")},
		{Destination: netip.MustParsePrefix("2001:db8:1::/48")},
	},
	DNS: DNS{Nameservers: []string{"192.0.2.53"}},
}

func TestParseLease(t *testing.T) {
	for version, text := range good {
		// A result tells its own version; one that does not has that of the call.
		for asked, text := range map[string]string{"1.1.0": text, version: strings.Replace(text, `"cniVersion":"`+version+`",`, "", 1)} {
			lease, err := parseLease(asked, []byte(text))
			if err != nil {
				t.Errorf("%s: %v", version, err)
			}
			if diff := cmp.Diff(goodLease, lease, byValue); diff != "" {
				t.Errorf("%s (-want +got):\n%s", version, diff)
			}
		}
	}
}

func TestParseLeaseRefuses(t *testing.T) {
	const address = `"ips":[{"address":"192.0.2.5/24"}]`
	many := make([]string, maxAddresses+1)
	for i := range many {
		many[i] = fmt.Sprintf(`{"address":"192.0.2.%d/24"}`, i+1)
	}
	for text, want := range map[string]string{
		"":                                    "it is empty",
		" \n":                                 "it is empty",
		"hello\nworld":                        `it is no JSON object but "hello world"`,
		"null":                                `it is no JSON object but "null"`,
		"[1]":                                 `it is no JSON object but "[1]"`,
		`{"ips":[{"addr`:                      `it is no JSON object but "{\"ips\":[{\"addr"`,
		`{}`:                                  "it has no addresses",
		`{"ips":[]}`:                          "it has no addresses",
		`{"cniVersion":"0.2.0","ip4":{}}`:     `its CNI version "0.2.0" is none of 0.3.1, 0.4.0, 1.0.0, 1.1.0`,
		`{"cniVersion":7}`:                    `its CNI version "7" is none of 0.3.1, 0.4.0, 1.0.0, 1.1.0`,
		`{"ips":"all"}`:                       "it is no CNI result of version 1.1.0: json: cannot unmarshal string into Go struct field Result.ips of type []*types100.IPConfig",
		`{"ips":[null]}`:                      errNull.Error(),
		`{"cniVersion":"0.4.0","ips":[null]}`: errNull.Error(),
		`{` + address + `,"routes":[null]}`:   errNull.Error(),
		`{"ips":[{}]}`:                        "one of its addresses is missing",
		`{"ips":[{"address":"::ffff:192.0.2.1/120"}]}`:                                          "one of its addresses is 192.0.2.1 with the mask ffffffffffffffffffffffffffffff00 of another family",
		`{"ips":[{"address":"0.0.0.0/8"}]}`:                                                     "an interface cannot have its address 0.0.0.0/8",
		`{"ips":[{"address":"ff02::1/64"}]}`:                                                    "an interface cannot have its address ff02::1/64",
		`{"ips":[{"address":"127.0.0.1/8"}]}`:                                                   "an interface cannot have its address 127.0.0.1/8",
		`{"ips":[{"address":"192.0.2.5/0"}]}`:                                                   "an interface cannot have its address 192.0.2.5/0",
		`{"ips":[{"address":"192.0.2.5/24"},{"address":"192.0.2.5/25"}]}`:                       "the address 192.0.2.5 is there twice",
		`{"ips":[{"address":"192.0.2.5/24","gateway":"2001:db8::1"}]}`:                          `"2001:db8::1" cannot be the gateway of 192.0.2.5/24`,
		`{"ips":[` + strings.Join(many, ",") + `]}`:                                             "it has 33 addresses; at most 32 will do",
		`{` + address + `,"routes":[{"dst":"192.0.3.0/24","gw":"224.0.0.1"}]}`:                  `"224.0.0.1" cannot be the gateway of 192.0.3.0/24`,
		`{` + address + `,"routes":[{"gw":"192.0.2.1"}]}`:                                       "the destination of one of its routes is missing",
		`{` + address + `,"routes":[{"dst":"192.0.3.0/24","table":100}]}`:                       "its route to 192.0.3.0/24 has an mtu, advmss, priority, table or scope, which are not supported",
		`{` + address + `,"dns":{"domain":"` + strings.Repeat("a", 256) + `"}}`:                 `its DNS part has "` + strings.Repeat("a", 64) + `"…, which is longer than 255 bytes`,
		`{` + address + `,"dns":{"search":["` + strings.Repeat(`","`, 32) + `"]}}`:              "its DNS part has a list of 33 entries; at most 32 will do",
		`{` + address + `,"routes":[` + strings.Repeat(`{"dst":"::/0"},`, 256) + `{"dst":""}]}`: "it is no CNI result of version 1.1.0: invalid CIDR address:",
		`{` + address + `,"routes":[` + strings.Repeat(`{"dst":"::/0"},`, 256) + `null]}`:       "it has 257 routes; at most 256 will do",
	} {
		if _, err := parseLease("1.1.0", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
}

// FuzzParseLease: whatever a plugin writes, there is a lease that an interface can have and that can be told again, or
// an error of one line.
func FuzzParseLease(f *testing.F) {
	for version, text := range good {
		f.Add(version, []byte(text))
	}
	f.Fuzz(func(t *testing.T, version string, output []byte) {
		lease, err := parseLease(version, output)
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 2000 {
				t.Errorf("the error is no sentence: %q", err)
			}
			return
		}
		if n := len(lease.Addresses); n == 0 || n > maxAddresses || len(lease.Routes) > maxRoutes {
			t.Errorf("%d addresses, %d routes", n, len(lease.Routes))
		}
		for _, one := range lease.Addresses {
			if !one.Prefix.IsValid() || one.Prefix.Addr().Is4In6() || one.Gateway.IsValid() && one.Gateway.Is4() != one.Prefix.Addr().Is4() {
				t.Errorf("address %v", one)
			}
		}
		for _, one := range lease.Routes {
			if !one.Destination.IsValid() || one.Gateway.IsValid() && one.Gateway.Is4() != one.Destination.Addr().Is4() {
				t.Errorf("route %v", one)
			}
		}
		result, err := Attachment{Version: "1.1.0", Interfaces: []Interface{{Name: "net1"}}, Addresses: lease.Addresses, Routes: lease.Routes, DNS: lease.DNS}.Result()
		if err != nil || !json.Valid(result) {
			t.Fatalf("told again: %v in %s", err, result)
		}
		again, err := parseLease("1.1.0", result)
		if diff := cmp.Diff(lease, again, byValue, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("read again: %v\n%s", err, diff)
		}
	})
}
