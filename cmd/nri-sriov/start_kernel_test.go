package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/journal/journaltest"
)

// place makes a folder of the daemon's, in whatever state, and gives it with what mends it.
type place func(t *testing.T) (dir string, mend func())

func mustDo(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func wellPlace(t *testing.T) (string, func()) { return t.TempDir(), func() {} }

// brokenPlaces are the faults of a folder; the daemon must start with each.
var brokenPlaces = map[string]place{
	"Full": func(t *testing.T) (string, func()) {
		d := journaltest.NewDisk(t)
		d.Fill()
		return d.Dir, d.Mend
	},
	"ReadOnly": func(t *testing.T) (string, func()) {
		d := journaltest.NewDisk(t)
		d.ReadOnly()
		return d.Dir, d.Mend
	},
	"ReadOnlyWithABadRecord": func(t *testing.T) (string, func()) {
		d := journaltest.NewDisk(t)
		records := filepath.Join(d.Dir, "sandboxes")
		mustDo(t, os.Mkdir(records, 0o700), os.WriteFile(filepath.Join(records, "s1.json"), []byte("{"), 0o600))
		d.ReadOnly()
		return d.Dir, d.Mend
	},
	"InTheWay": func(t *testing.T) (string, func()) {
		name := filepath.Join(t.TempDir(), "file")
		mustDo(t, os.WriteFile(name, nil, 0o600))
		return name, func() { mustDo(t, os.Remove(name)) }
	},
	"RecordsInTheWay": func(t *testing.T) (string, func()) {
		dir := t.TempDir()
		name := filepath.Join(dir, "sandboxes")
		mustDo(t, os.WriteFile(name, nil, 0o600))
		return dir, func() { mustDo(t, os.Remove(name)) }
	},
	"ParentInTheWay": func(t *testing.T) (string, func()) {
		name := filepath.Join(t.TempDir(), "file")
		mustDo(t, os.WriteFile(name, nil, 0o600))
		return filepath.Join(name, "dir"), func() { mustDo(t, os.Remove(name)) }
	},
	"FIFOs": func(t *testing.T) (string, func()) {
		dir := t.TempDir()
		records, bound := filepath.Join(dir, "sandboxes"), filepath.Join(dir, "bound")
		mustDo(t, os.Mkdir(records, 0o700), os.Mkdir(bound, 0o700), syscall.Mkfifo(filepath.Join(records, "s1.json"), 0o600),
			syscall.Mkfifo(filepath.Join(bound, "0000:01:10.0.json"), 0o600), syscall.Mkfifo(filepath.Join(dir, socketName), 0o600))
		return dir, func() {}
	},
}

// TestStartsOnABrokenDisk: the daemon starts with whatever lies in the place of its folders, says on /readyz what the
// matter is, ends when it is told to, and needs no restart after the mend.
func TestStartsOnABrokenDisk(t *testing.T) {
	for fault, broken := range brokenPlaces {
		for where, c := range map[string]struct{ state, run place }{"State": {broken, wellPlace}, "Run": {wellPlace, broken}} {
			t.Run(fault+where, func(t *testing.T) {
				t.Parallel()
				state, mendState := c.state(t)
				run, mendRun := c.run(t)
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				mustDo(t, err)
				address := listener.Addr().String()
				mustDo(t, listener.Close())
				none := t.TempDir() // a node without NICs
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan int, 1)
				go func() {
					root := newRoot()
					root.SetArgs([]string{"run", "--state-dir", state, "--run-dir", run, "--sysfs", none, "--listen", address, "--config", "/none", "--nri-socket", "/none", "--log-level", "error"})
					ended <- exitCode(root.ExecuteContext(ctx))
				}()
				says := func(sentence string, has bool) {
					t.Helper()
					said := ""
					for range 200 {
						if said = readyz(t, address); said != "" && strings.Contains(said, sentence) == has {
							return
						}
						time.Sleep(50 * time.Millisecond)
					}
					t.Errorf("/readyz says %q; is %q there: wanted %v", said, sentence, has)
				}
				if fault != "FIFOs" {
					says("the journal is not writable: ", true)
				}
				mendState()
				mendRun()
				says("the journal is not writable: ", false)
				reached(t, run)
				cancel()
				select {
				case code := <-ended:
					if code != 0 {
						t.Errorf("the daemon ends with %d", code)
					}
				case <-time.After(20 * time.Second):
					t.Error("the daemon does not end")
				}
			})
		}
	}
}

// reached waits until the command line reaches the daemon.
func reached(t *testing.T, runDir string) {
	t.Helper()
	var text string
	for range 200 {
		var code int
		if code, text = cli(t, "pods", "--run-dir", runDir); code == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("the command line does not reach the daemon: %s", text)
}

// readyz is what /readyz says; nothing while nobody listens.
func readyz(t *testing.T, address string) string {
	t.Helper()
	response, err := http.Get("http://" + address + "/readyz")
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}
