package attach

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/journal"
)

// FuzzReadRecord: whatever a record says, it names no file but those of its sandbox, and what is read can be written and
// read again.
func FuzzReadRecord(f *testing.F) {
	files, err := filepath.Glob("testdata/journal/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var envelope struct {
			Version int
			Record  json.RawMessage
		}
		if err := json.Unmarshal(text, &envelope); err != nil {
			f.Fatal(err)
		}
		f.Add(envelope.Version, []byte(envelope.Record))
	}
	f.Fuzz(func(t *testing.T, version int, text []byte) {
		var head struct{ Sandbox struct{ ID string } }
		_ = json.Unmarshal(text, &head)
		one := journal.Record{Sandbox: head.Sandbox.ID, Version: version, Value: text}
		r, err := readRecord(one)
		if err != nil {
			return
		}
		for _, each := range r.Attachments {
			names := append([]string{each.Interface, each.Driver, each.Rest}, each.homeInterfaces()...)
			for _, port := range each.Ports {
				names = append(names, port.Interface, port.Resting.Interface)
			}
			for _, name := range names {
				if strings.ContainsAny(name, "/\x00") || name == ".." || name == "." {
					t.Fatalf("%q is taken for a name", name)
				}
			}
			if len(each.Ports) == 0 {
				t.Fatal("no port")
			}
		}
		written, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readRecord(journal.Record{Sandbox: r.Sandbox.ID, Version: journal.Version, Value: written}); err != nil {
			t.Fatalf("%v in %s", err, written)
		}
	})
}
