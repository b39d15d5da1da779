package vf

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestEnds(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ends, err := WatchEnds()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "netns")
	one, other := filepath.Join(folder, "cni-1"), filepath.Join(folder, "cni-2")
	if err := ends.Add(one); err == nil {
		t.Error("a folder that is not there is watched")
	}
	begin := func() {
		t.Helper()
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{one, other} {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := ends.Add(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect := func(paths ...string) {
		t.Helper()
		for _, path := range paths {
			select {
			case got := <-ends.Gone:
				if got != path {
					t.Errorf("gone: %s, not %s", got, path)
				}
			case <-time.After(5 * time.Second):
				t.Fatalf("nothing tells that %s is gone", path)
			}
		}
	}
	begin()
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	expect(other)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	expect(one)
	for watched := true; watched; time.Sleep(time.Millisecond) {
		ends.mutex.Lock()
		watched = ends.folders[folder]
		ends.mutex.Unlock()
	}
	begin() // the folder is a new one, and is watched again
	if err := os.Remove(one); err != nil {
		t.Fatal(err)
	}
	expect(one)
	if err := ends.Close(); err != nil {
		t.Error(err)
	}
}
