package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestBrokenRecord: whatever lies in the place of a record is set aside once, and holds nobody up.
func TestBrokenRecord(t *testing.T) {
	t.Attr("fault", "28")
	file := func(text string) func(string) error {
		return func(name string) error { return os.WriteFile(name, []byte(text), 0o600) }
	}
	for fault, place := range map[string]func(name string) error{
		"Empty": file(""), "Truncated": file(`{"version":1`), "Random": file("\x00\xff\x17"),
		"Huge": file(strings.Repeat(" ", maxRecord+1)), "DeeplyNested": file(`{"version":1,"bootID":"x","record":` + strings.Repeat("[", 500_000)),
		"NestedAndClosed": file(`{"version":2,"bootID":"x","record":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}"),
		"UnknownKey":      file(`{"version":1,"bootID":"x","record":1,"more":1}`), "Incomplete": file(`{"version":1,"bootID":"x"}`),
		"NoVersion": file(`{"bootID":"x","record":1}`), "TwoValues": file(`{"version":1,"bootID":"x","record":1}{}`),
		"Folder":       func(name string) error { return os.MkdirAll(filepath.Join(name, "inside"), 0o700) },
		"Symlink":      func(name string) error { return os.Symlink("/etc/passwd", name) },
		"DanglingLink": func(name string) error { return os.Symlink("/none", name) },
		"FIFO":         func(name string) error { return syscall.Mkfifo(name, 0o600) },
		"Socket":       func(name string) error { return syscall.Mknod(name, syscall.S_IFSOCK|0o600, 0) },
	} {
		t.Run(fault, func(t *testing.T) {
			j := open(t, t.TempDir())
			name := filepath.Join(j.dir, "s1.json")
			if err := errors.Join(place(name), j.Put("s2", 2)); err != nil {
				t.Fatal(err)
			}
			records, broken := mustLoad(t, j)
			if len(records) != 1 || len(broken) != 1 || broken[0].Path != name+".broken" || !broken[0].Aside || broken[0].Reason == nil {
				t.Fatalf("%v, %v", records, broken)
			}
			if _, err := os.Lstat(broken[0].Path); err != nil || j.AsideCount() != 1 {
				t.Errorf("%v, %d set aside", err, j.AsideCount())
			}
			if records, broken := mustLoad(t, j); len(records) != 1 || len(broken) != 0 {
				t.Errorf("the second time: %v, %v", records, broken)
			}
			if err := j.Put("s1", 1); err != nil {
				t.Error(err)
			}
		})
	}
}

// mustLoad fails when loading takes longer than any file of a record may.
func mustLoad(t *testing.T, j *Journal) (records []Record, broken []Broken) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		var err error
		records, broken, err = j.Load()
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("loading waits")
	}
	return records, broken
}

func TestUnfitNamesAreSetAside(t *testing.T) {
	j := open(t, t.TempDir())
	for _, name := range []string{"-bad.json", ".json", draft + "1"} {
		if err := os.WriteFile(filepath.Join(j.dir, name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if records, broken := mustLoad(t, j); len(records) != 0 || len(broken) != 2 {
		t.Errorf("%v, %v", records, broken)
	}
	if left := list(t, j); !slices.Equal(left, []string{"-bad.json.broken", ".json.broken"}) {
		t.Errorf("%v", left)
	}
}

// TestEarlierEvidenceStays: what was set aside before is not overwritten, and the folder does not grow for ever.
func TestEarlierEvidenceStays(t *testing.T) {
	j := open(t, t.TempDir())
	spoil := func(sandbox string, i int) {
		if err := os.WriteFile(filepath.Join(j.dir, sandbox+".json"), fmt.Appendf(nil, "bad %d", i), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, broken := mustLoad(t, j); len(broken) != 1 || !broken[0].Aside {
			t.Fatalf("%v", broken)
		}
	}
	for i := range 20 {
		spoil("s1", i)
	}
	for i, want := range map[string]string{"": "bad 0", ".2": "bad 1", ".7": "bad 6", ".8": "bad 19"} {
		if text, err := os.ReadFile(filepath.Join(j.dir, "s1.json.broken"+i)); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", i, text, err)
		}
	}
	for i := range 100 {
		spoil(fmt.Sprint("t", i), i)
	}
	if left := list(t, j); len(left) != asideOfAll || !slices.Contains(left, "t99.json.broken") {
		t.Errorf("%d are kept: %v", len(left), left)
	}
}

func list(t *testing.T, j *Journal) []string {
	t.Helper()
	names, err := j.names()
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestLaterVersion: the record of a later program stays as it is, whatever is done to its sandbox.
func TestLaterVersion(t *testing.T) {
	j := open(t, t.TempDir())
	text := fmt.Sprintf(`{"version":%d,"bootID":%q,"form":"new","record":{"vf":"0000:01:10.0"}}`, Version+1, j.bootID)
	name := filepath.Join(j.dir, "s1.json")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	records, broken := mustLoad(t, j)
	if len(records) != 1 || len(broken) != 0 || !records[0].Later || records[0].Earlier || string(records[0].Value) != text {
		t.Fatalf("%+v, %v", records, broken)
	}
	if err := j.Put("s1", 1); !errors.Is(err, ErrLater) {
		t.Errorf("put: %v", err)
	}
	if err := j.Delete("s1"); !errors.Is(err, ErrLater) {
		t.Errorf("delete: %v", err)
	}
	if err := j.Trouble(); err != nil {
		t.Errorf("the disk is well, but: %v", err)
	}
	if now, err := os.ReadFile(name); err != nil || string(now) != text {
		t.Errorf("%s, %v", now, err)
	}
	if err := errors.Join(os.Remove(name), j.Put("s1", 1)); err != nil {
		t.Errorf("after a person has removed it: %v", err)
	}
}

func TestEarlierVersionIsRead(t *testing.T) {
	j := open(t, t.TempDir())
	if err := os.WriteFile(filepath.Join(j.dir, "s1.json"), []byte(`{"version":1,"bootID":"x","record":[1]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if records, _ := mustLoad(t, j); len(records) != 1 || records[0].Version != 1 || records[0].Later || !records[0].Earlier {
		t.Errorf("%+v", records)
	}
}
