package config

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestWatchOfAFolderThatIsNotThereYet: it is looked for as long as nothing tells of it.
func TestWatchOfAFolderThatIsNotThereYet(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "etc", "nri-sriov")
	for _, source := range []Source{{Path: filepath.Join(folder, "config.yaml")}, {Path: folder}} {
		ctx, cancel := context.WithCancel(t.Context())
		changed, err := source.watch(ctx, 2*calm) // what comes within calm is one change
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		told(t, changed)
		cancel()
		for range changed { // until it is closed
		}
		if err := os.RemoveAll(filepath.Dir(folder)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWatchOfAFolderThatComes: a folder at the very path is watched as soon as it is there.
func TestWatchOfAFolderThatComes(t *testing.T) {
	source := Source{Path: filepath.Join(t.TempDir(), "config")}
	changed, err := source.watch(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(source.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	told(t, changed)
	if err := os.WriteFile(filepath.Join(source.Path, commonFile), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	told(t, changed)
}

func told(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(5 * time.Second):
		t.Fatal("nothing is told")
	}
}
