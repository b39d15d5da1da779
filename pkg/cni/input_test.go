package cni

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// FuzzPluginType: a type that is taken names a file in the folder itself.
func FuzzPluginType(f *testing.F) {
	for _, seed := range []string{"host-local", "../../bin/sh", "..", ".", "a/b", "a\x00b", "A", "a..b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckPluginType(name) != nil {
			return
		}
		const dir = "/opt/cni/bin"
		if path := filepath.Join(dir, name); filepath.Dir(path) != dir || filepath.Base(path) != name || strings.ContainsAny(name, "/\\\x00 \n") {
			t.Errorf("%q is %s", name, path)
		}
	})
}

// FuzzPluginWords: whatever a plugin says of its failure, it is one line of bounded length.
func FuzzPluginWords(f *testing.F) {
	f.Add([]byte(`{"code":7,"msg":"no\naddress","details":"left"}`), []byte("oops"), "exit status 1")
	f.Add([]byte(`{"code":-1,"msg":"\u001b[2J"}`), []byte("a\nlevel=error msg=forged"), "")
	f.Add([]byte(strings.Repeat("x", 5000)), []byte("\xff\xfe"), "signal: killed")
	f.Fuzz(func(t *testing.T, stdout, stderr []byte, failure string) {
		if strings.ContainsFunc(failure, func(r rune) bool { return !unicode.IsPrint(r) }) || len(failure) > 100 {
			return // these are our own words
		}
		err := execution{started: true, stdout: stdout, stderr: stderr, failure: failure}.refusal()
		if err == nil {
			if failure != "" {
				t.Errorf("%s is no failure", failure)
			}
			return
		}
		if text := err.Error(); len(text) > 1200 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("it says %q", text)
		}
	})
}

// TestHostileResults: what a plugin says beside addresses, routes and names of resolvers is left out of what is told, and
// a route is one that Linux can have or an error.
func TestHostileResults(t *testing.T) {
	const address = `"ips":[{"address":"192.0.2.5/24","interface":99}]`
	hostile := `{"cniVersion":"1.1.0","interfaces":[{"name":"../../etc/x","mac":"forged","sandbox":"/proc/1/ns/net","pciID":"0000:00:00.0"}],` +
		address + `,"extra":{"hooks":["/bin/sh"]},"routes":[{"dst":"198.51.100.7/24"}]}`
	lease, err := parseLease("1.1.0", []byte(hostile))
	if err != nil {
		t.Fatal(err)
	}
	told, err := Attachment{Version: "1.1.0", Sandbox: "/run/netns/x", PCIID: "0000:01:10.0", Interfaces: []Interface{{Name: "net1"}}, Addresses: lease.Addresses, Routes: lease.Routes, DNS: lease.DNS}.Result()
	if err != nil || !json.Valid(told) {
		t.Fatalf("%v in %s", err, told)
	}
	for _, word := range []string{"etc/x", "forged", "proc/1", "extra", "hooks", "0000:00:00.0", "198.51.100.7", "99"} {
		if strings.Contains(string(told), word) {
			t.Errorf("told is %q: %s", word, told)
		}
	}
	for name, text := range map[string]string{
		"a destination without length": `{` + address + `,"routes":[{"dst":"198.51.100.0"}]}`,
		"a length of no address":       `{` + address + `,"routes":[{"dst":"198.51.100.0/33"}]}`,
		"a negative length":            `{` + address + `,"routes":[{"dst":"198.51.100.0/-1"}]}`,
		"a gateway of no address":      `{` + address + `,"routes":[{"dst":"198.51.100.0/24","gw":"router"}]}`,
		"the loopback as gateway":      `{` + address + `,"routes":[{"dst":"198.51.100.0/24","gw":"127.0.0.1"}]}`,
		"a gateway of another family":  `{` + address + `,"routes":[{"dst":"198.51.100.0/24","gw":"fe80::1"}]}`,
		"another table":                `{` + address + `,"routes":[{"dst":"198.51.100.0/24","table":255}]}`,
		"a deep nothing":               `{` + address + `,"routes":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
		"a negative table":             `{` + address + `,"routes":[{"dst":"198.51.100.0/24","table":-1}]}`,
		"an address of everything":     `{"ips":[{"address":"0.0.0.0/0"}]}`,
	} {
		lease, err := parseLease("1.1.0", []byte(text))
		if err == nil || strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000 {
			t.Errorf("%s: %+v, %v", name, lease, err)
		}
	}
}
