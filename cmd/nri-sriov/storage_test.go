package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/journal/journaltest"
)

// store opens a state folder and a run folder.
func store(t *testing.T, stateDir, runDir string) storage {
	t.Helper()
	records, err := journal.Open(stateDir)
	copies, copiesErr := journal.Open(runDir)
	if err := errors.Join(err, copiesErr); err != nil {
		t.Fatal(err)
	}
	return storage{records, copies}
}

// TestReadyzNamesWhatIsLacking: not started, when nothing else can be looked at, not connected, not synchronised, journal not writable.
func TestReadyzNamesWhatIsLacking(t *testing.T) {
	disk := journaltest.NewDisk(t)
	log := logrus.New()
	log.SetOutput(io.Discard)
	d := &daemon{log: log, flags: runFlags{nriSocket: "/nri.sock"}}
	wants := func(words ...string) {
		t.Helper()
		said := d.lacking()
		if len(words) == 0 && said != "" || len(words) > 0 && strings.Count(said, "\n") != len(words)-1 {
			t.Errorf("/readyz says %q", said)
		}
		for _, word := range words {
			if !strings.Contains(said, word) {
				t.Errorf("/readyz says %q without %q", said, word)
			}
		}
	}
	wants("still starting")
	d.storage, d.plugin = store(t, disk.Dir, t.TempDir()), hooks.New(log, nil)
	d.serving.Store(true)
	wants("not connected to the runtime's NRI socket /nri.sock")
	d.connected.Store(true)
	wants("not synchronised")
	if _, err := d.plugin.Synchronize(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	wants()
	disk.Fill()
	if d.storage.journal.Put("s1", 1) == nil {
		t.Fatal("a full disk was written")
	}
	wants("the journal is not writable: ")
	disk.Mend()
	if err := d.storage.probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	wants()
	disk.ReadOnly()
	if d.storage.probe(t.Context()) == nil {
		t.Fatal("a read-only disk was written")
	}
	d.connected.Store(false)
	wants("not connected", "the disk is read-only: mount it writable again")
}

func TestJournalMetrics(t *testing.T) {
	disk := journaltest.NewDisk(t)
	s := store(t, disk.Dir, t.TempDir())
	pool := inventory.NewPool(nil)
	node := collector{pool: pool, attacher: attach.New(t.Context(), attach.Options{Pool: pool}), drift: &drift{}, plugin: hooks.New(logrus.New(), nil), storage: s}
	wants := func(writable, failed, aside string) {
		t.Helper()
		answer := httptest.NewRecorder()
		metrics(node, newMeters()).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", http.NoBody))
		for name, value := range map[string]string{
			"nri_sriov_journal_writable": writable, "nri_sriov_journal_errors_total": failed, "nri_sriov_journal_records_set_aside_total": aside,
		} {
			if text := answer.Body.String(); !strings.Contains(text, "\n"+name+" "+value+"\n") {
				t.Errorf("%s is not %s in\n%s", name, value, text)
			}
		}
	}
	wants("1", "0", "0")
	disk.Fill()
	if s.journal.Put("s1", 1) == nil {
		t.Fatal("a full disk was written")
	}
	if err := os.WriteFile(filepath.Join(disk.Dir, "sandboxes", "s2.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.journal.Load(); err != nil {
		t.Fatal(err)
	}
	wants("0", "1", "1")
}

// TestTroubleIsSaidOnce: when it begins and when it ends.
func TestTroubleIsSaidOnce(t *testing.T) {
	out := &record{}
	log := logrus.New()
	log.SetOutput(out)
	trouble := newTrouble(log)
	for _, err := range []error{nil, nil, errors.New("full"), errors.New("still full"), nil, nil} {
		trouble.say("journal", err)
	}
	if said := out.String(); strings.Count(said, "\n") != 2 || !strings.Contains(said, "full") || !strings.Contains(said, "well again") {
		t.Errorf("it says\n%s", said)
	}
}

// TestSocketIsListenedToAnew: somebody has removed the run folder, or put something into its place.
func TestSocketIsListenedToAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	log := logrus.New()
	log.SetOutput(io.Discard)
	d := &daemon{log: log}
	api := http.NewServeMux()
	api.HandleFunc("GET /v1/pods", func(w http.ResponseWriter, _ *http.Request) { d.answer(w, podList{}) })
	s := &socket{runDir: dir, serve: func(l net.Listener, h http.Handler) func() { return d.serveHTTP(l, h) }, api: api}
	defer s.close()
	reached := func() {
		t.Helper()
		for range 2 {
			if err := s.keep(); err != nil {
				t.Fatal(err)
			}
		}
		if code, text := cli(t, "pods", "--run-dir", dir); code != 0 {
			t.Errorf("the daemon is not reached: %s", text)
		}
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s.keep() == nil {
		t.Error("a file is listened in")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	reached()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	reached()
}
