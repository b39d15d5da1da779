package lab

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// enabledEnv asks for the tests that need a guest.
	enabledEnv = "NRI_SRIOV_LAB"
	// logsEnv is the folder for the logs of failed tests.
	logsEnv = "NRI_SRIOV_LAB_LOGS"
)

// prepared is made once for all tests of a process, for each version of containerd that they ask for.
var prepared struct {
	mutex    sync.Mutex
	versions map[string]func() (*Assets, error)
}

func assetsOf(containerd string) (*Assets, error) {
	prepared.mutex.Lock()
	once, found := prepared.versions[containerd]
	if !found {
		once = sync.OnceValues(func() (*Assets, error) {
			return PrepareContainerd(context.Background(), containerd, os.Stderr)
		})
		if prepared.versions == nil {
			prepared.versions = map[string]func() (*Assets, error){}
		}
		prepared.versions[containerd] = once
	}
	prepared.mutex.Unlock()
	return once()
}

// Start boots a guest for a test, and ends it with the test. Without
// NRI_SRIOV_LAB the test is skipped. When the test fails, the guest's logs
// stay in a folder that the test's output names; else they are removed.
func Start(t testing.TB, options Options) *Guest {
	t.Helper()
	Require(t)
	assets, err := assetsOf(options.Containerd)
	if err != nil {
		t.Fatal(err)
	}
	if options.Logs == "" {
		options.Logs = LogFolder(t)
	}
	g, err := Boot(t.Context(), assets, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.finish(t) })
	return g
}

// LogFolder is a new folder for the logs of a test, which removes it when they are not needed.
func LogFolder(t testing.TB) string {
	base := os.Getenv(logsEnv)
	if base == "" {
		base = filepath.Join(os.TempDir(), "nri-sriov-lab")
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(base, strings.ReplaceAll(t.Name(), "/", "_")+"-")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// finish keeps the logs of a failed test, and ends the guest.
func (g *Guest) finish(t testing.TB) {
	if !t.Failed() {
		if err := g.Close(); err != nil {
			t.Error(err)
			return
		}
		_ = os.RemoveAll(g.options.Logs) // a leftover is no harm
		return
	}
	// The test's own context has ended by now.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if text, err := g.Dmesg(ctx); err != nil {
		t.Log(err)
	} else if err := os.WriteFile(filepath.Join(g.options.Logs, "dmesg.log"), []byte(text), 0o644); err != nil {
		t.Log(err)
	}
	if err := g.Collect(ctx, g.options.Logs, "/var/log", "/etc/containerd", "/etc/cni/net.d", "/run/nri-sriov", "/var/lib/nri-sriov"); err != nil {
		t.Log(err)
	}
	if err := g.Close(); err != nil {
		t.Log(err)
	}
	t.Logf("the guest's logs are in %s", g.options.Logs)
}

// Require skips a test where NRI_SRIOV_LAB is not set.
func Require(t testing.TB) {
	t.Helper()
	if os.Getenv(enabledEnv) == "" {
		t.Skipf("needs an emulated machine with SR-IOV, which takes minutes: run `make test-lab` (or set %s=1)", enabledEnv)
	}
}
