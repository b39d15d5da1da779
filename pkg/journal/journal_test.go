package journal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func open(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestPutLoadDelete(t *testing.T) {
	j := open(t, t.TempDir())
	for _, value := range []string{"first", "second"} {
		if err := j.Put("s1", value); err != nil {
			t.Fatal(err)
		}
	}
	records, broken, err := j.Load()
	if err != nil || len(broken) != 0 || len(records) != 1 {
		t.Fatalf("%v, %v, %v", records, broken, err)
	}
	if one := records[0]; one.Sandbox != "s1" || string(one.Value) != `"second"` || one.Earlier {
		t.Errorf("%+v", one)
	}
	if err := errors.Join(j.Delete("s1"), j.Delete("s1")); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(j.dir); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestEarlierBoot(t *testing.T) {
	j := open(t, t.TempDir())
	if err := j.Put("s1", 1); err != nil {
		t.Fatal(err)
	}
	j.bootID = "another"
	if records, _, err := j.Load(); err != nil || !records[0].Earlier {
		t.Errorf("%v, %v", records, err)
	}
}

func TestIDsDoNotNameOtherFolders(t *testing.T) {
	j := open(t, t.TempDir())
	for _, id := range []string{"", "../x", "a/b", ".x", strings.Repeat("a", 129), "a\x00"} {
		if j.Put(id, 1) == nil || j.Delete(id) == nil || j.SetAside(id, errors.New("bad")).Aside {
			t.Errorf("%q was taken", id)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"version":1,"bootID":"x","record":{"a":1}}`))
	f.Add([]byte(`{"version":3,"bootID":"x","attachments":[{"pciAddress":"0000:01:10.0"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		j := open(t, t.TempDir())
		if err := os.WriteFile(filepath.Join(j.dir, "s.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		records, broken, err := j.Load()
		if err != nil || len(records)+len(broken) != 1 {
			t.Fatalf("%v, %v, %v", records, broken, err)
		}
		if len(records) == 1 && records[0].Later != (records[0].Version > Version) {
			t.Errorf("%+v", records[0])
		}
	})
}

func TestReadChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if records, err := Read(filepath.Join(dir, "none")); err != nil || len(records) != 0 {
		t.Errorf("%v, %v", records, err)
	}
	j := open(t, dir)
	if err := errors.Join(j.Put("s1", 1), os.WriteFile(filepath.Join(j.dir, "broken.json"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	records, err := Read(dir)
	if err != nil || len(records) != 1 || records[0].Sandbox != "s1" {
		t.Errorf("%v, %v", records, err)
	}
	if entries, err := os.ReadDir(j.dir); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}
