package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/nri-sriov/nri-sriov/pkg/journal/journaltest"
)

// locked is a lock that was taken, or an attempt at it.
type locked struct {
	*nodeLock
	log  *record
	done chan error
}

// record is a log to read while it is written.
type record struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

// Write and String make it a log's output and show it.
func (r *record) Write(text []byte) (int, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.text.Write(text)
}

func (r *record) String() string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.text.String()
}

func takeLock(t *testing.T, ctx context.Context, runDir, stateDir string) locked {
	t.Helper()
	l := locked{log: &record{}, done: make(chan error, 1)}
	log := logrus.New()
	log.SetOutput(l.log)
	l.nodeLock = newNodeLock(runDir, stateDir, newTrouble(log))
	t.Cleanup(l.close)
	go func() { l.done <- l.take(ctx, log) }()
	return l
}

func (l locked) taken(t *testing.T) {
	t.Helper()
	select {
	case err := <-l.done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatalf("the lock is not taken:\n%s", l.log)
	}
}

func (l locked) waits(t *testing.T) {
	t.Helper()
	select {
	case err := <-l.done:
		t.Fatalf("the lock is taken twice: %v", err)
	case <-time.After(3 * lockEvery):
	}
}

// TestTwoDaemons: the second waits, says for whom, goes on when the first has ended, and ends when it is told to.
func TestTwoDaemons(t *testing.T) {
	run, state := t.TempDir(), filepath.Join(t.TempDir(), "state")
	first := takeLock(t, t.Context(), run, state)
	first.taken(t)
	second := takeLock(t, t.Context(), run, state)
	second.waits(t)
	for _, word := range []string{"another nri-sriov is at work on this node", fmt.Sprintf("pid %d, for ", os.Getpid()), filepath.Join(run, lockName)} {
		if said := second.log.String(); !strings.Contains(said, word) || strings.Count(said, "\n") != 1 {
			t.Errorf("the second says\n%s\nwithout %s, or too often", said, word)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	third := takeLock(t, ctx, run, state)
	third.waits(t)
	cancel()
	if err := <-third.done; !errors.Is(err, context.Canceled) {
		t.Errorf("told to end, the third says %v", err)
	}
	first.close()
	second.taken(t)
}

// TestTwoDaemonsOfDifferentAge: a daemon of before knows the lock in the state folder only.
func TestTwoDaemonsOfDifferentAge(t *testing.T) {
	run, state := t.TempDir(), t.TempDir()
	old, err := os.OpenFile(filepath.Join(state, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(old.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	l := takeLock(t, t.Context(), run, state)
	l.waits(t)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	l.taken(t)
	old, err = os.OpenFile(filepath.Join(state, lockName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := unix.Flock(int(old.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("the old daemon is not kept out: %v", err)
	}
}

// TestTwoDaemonsOnABrokenDisk: whatever is the matter with one folder, the lock in the other keeps the second out; and with
// both, the daemon starts.
func TestTwoDaemonsOnABrokenDisk(t *testing.T) {
	inTheWay := func(t *testing.T) string {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	readOnly := func(t *testing.T) string {
		d := journaltest.NewDisk(t)
		d.ReadOnly()
		return d.Dir
	}
	full := func(t *testing.T) string {
		d := journaltest.NewDisk(t)
		d.Fill()
		return d.Dir
	}
	well := func(t *testing.T) string { return t.TempDir() }
	for name, c := range map[string]struct{ run, state func(*testing.T) string }{
		"StateInTheWay": {well, inTheWay}, "StateReadOnly": {well, readOnly}, "StateFull": {well, full},
		"RunInTheWay": {inTheWay, well}, "RunReadOnly": {readOnly, well}, "BothFull": {full, full},
	} {
		t.Run(name, func(t *testing.T) {
			run, state := c.run(t), c.state(t)
			first := takeLock(t, t.Context(), run, state)
			first.taken(t)
			second := takeLock(t, t.Context(), run, state)
			second.waits(t)
			first.close()
			second.taken(t)
		})
	}
	t.Run("Both", func(t *testing.T) {
		run, state := inTheWay(t), inTheWay(t)
		l := takeLock(t, t.Context(), run, state)
		l.taken(t)
		l.keep()
		l.keep()
		if said := l.log.String(); strings.Count(said, "nothing keeps two nri-sriov from working on this node") != 1 {
			t.Errorf("it says\n%s", said)
		}
		if err := os.Remove(run); err != nil {
			t.Fatal(err)
		}
		l.keep()
		if said := l.log.String(); !strings.Contains(said, "is well again") {
			t.Errorf("after the mend it says\n%s", said)
		}
	})
}

// TestLockedFileIsRemoved: a folder that somebody removes takes the lock with it; it is taken again.
func TestLockedFileIsRemoved(t *testing.T) {
	run, state := t.TempDir(), t.TempDir()
	first := takeLock(t, t.Context(), run, state)
	first.taken(t)
	if err := errors.Join(os.RemoveAll(run), os.RemoveAll(state)); err != nil {
		t.Fatal(err)
	}
	first.keep()
	takeLock(t, t.Context(), run, state).waits(t)
}
