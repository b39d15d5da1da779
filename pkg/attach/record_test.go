package attach

import (
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// TestRecordsNameNoOtherFiles: a record whose names would lead out of their folder is set aside.
func TestRecordsNameNoOtherFiles(t *testing.T) {
	const record = `{"sandbox":{"id":"s"},"attachments":[{"interface":"IN","device":"netdev","state":"attached","pciAddress":"0000:01:10.0","pfAddress":"0000:01:00.0","ports":[{"interface":"PORT","resting":{"interface":"HOST","mac":"02:00:00:00:00:01","mtu":1500}}]}]}`
	read := func(in, port, host string) error {
		text := strings.NewReplacer("IN", in, "PORT", port, "HOST", host).Replace(record)
		_, err := readRecord(journal.Record{Sandbox: "s", Version: journal.Version, Value: []byte(text)})
		return err
	}
	if err := read("net1", "net1", "vf0"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"..", "../x", "a/b", "/etc/x", "all", "default", "a%d", "sixteenbytes0001", `a\nb`, `a\u0000`} {
		for _, err := range []error{read(name, "net1", "vf0"), read("net1", name, "vf0"), read("net1", "net1", name)} {
			if err == nil || !strings.Contains(err.Error(), "is no name of an interface") {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

// TestMarksThatAPodWrote: an alias travels with the interface, and the pod may change it.
func TestMarksThatAPodWrote(t *testing.T) {
	for _, name := range []string{"..", "../x", "a/b", "/etc/x", "all", "default", "a%d", "sixteenbytes0001", `a\nb`, `a\u0000`, ""} {
		if r, ok := readMark(`{"interface":"` + name + `","mac":"02:00:00:00:00:01","mtu":1500}`); ok {
			t.Errorf("%q gives %+v", name, r)
		}
	}
}

// TestNamesThatAPodChose: an interface comes home under the name that its pod gave it, which ends up in an error.
func TestNamesThatAPodChose(t *testing.T) {
	wrong := uncleanPort(vf.Interface{Name: "\x1b[2J\x01", MTU: 1500}, Resting{Interface: "vf0", MTU: 1500})
	if got := strings.Join(wrong, "; "); got != `name "\x1b[2J\x01", not vf0` {
		t.Errorf("it says %q", got)
	}
}
