package lab

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestKeyTellsItsPartsApart(t *testing.T) {
	same := key("a", "b")
	if key("a", "b") != same {
		t.Error("the same parts have different keys")
	}
	for _, parts := range [][]string{{"ab"}, {"a", "b", ""}, {"b", "a"}, {"a", "b "}} {
		if key(parts...) == same {
			t.Errorf("%q has the key of a, b", parts)
		}
	}
	if (debs{packages: []string{"a"}}).key() == (debs{packages: []string{"a", "b"}}).key() {
		t.Error("another package does not change the key")
	}
}

func TestArtefact(t *testing.T) {
	dir := t.TempDir()
	builds := 0
	build := func(err error) func(string) error {
		return func(place string) error {
			builds++
			return errors.Join(err, os.WriteFile(filepath.Join(place, "part"), nil, 0o644))
		}
	}
	c, unlock, err := openCache(t.Context(), dir, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if _, err := c.artefact("thing", "1", build(broken)); !errors.Is(err, broken) {
		t.Errorf("a failed build gives %v", err)
	}
	for range 2 {
		place, err := c.artefact("thing", "1", build(nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(place, "part")); err != nil {
			t.Error(err)
		}
	}
	if builds != 2 {
		t.Errorf("built %d times, want once after the failure", builds)
	}
	// What a killed run leaves, and what nobody has used for long.
	old := filepath.Join(dir, "thing-0")
	for _, leftover := range []string{old, filepath.Join(dir, "making-thing-123")} {
		if err := os.MkdirAll(leftover, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-2 * unusedAfter)
	if err := errors.Join(os.Chtimes(old, long, long), unlock()); err != nil {
		t.Fatal(err)
	}
	if _, unlock, err = openCache(t.Context(), dir, io.Discard); err != nil {
		t.Fatal(err)
	}
	defer unlock()
	entries, err := filepath.Glob(filepath.Join(dir, "*-*"))
	if err != nil || len(entries) != 1 || filepath.Base(entries[0]) != "thing-1" {
		t.Errorf("left: %q, %v", entries, err)
	}
}

func TestCacheIsLocked(t *testing.T) {
	dir := t.TempDir()
	_, unlock, err := openCache(t.Context(), dir, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, _, err := openCache(short, dir, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second run gets %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	_, unlock, err = openCache(t.Context(), dir, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}
