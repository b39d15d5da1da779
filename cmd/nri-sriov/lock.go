package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

const (
	lockName = "lock"
	// lockEvery is how often the lock is asked for that another daemon has, sayLockEvery how often that is said.
	lockEvery    = 100 * time.Millisecond
	sayLockEvery = 10 * time.Second
)

// nodeLock keeps two daemons from working on one node at the same time. It is a file in the run folder, which no disk makes
// read-only, and for the sake of daemons that know no other the one in the state folder. Where a file cannot be opened, the
// other does.
type nodeLock struct {
	runDir, stateDir string
	trouble          *trouble

	mutex sync.Mutex
	held  map[string]*os.File
}

func newNodeLock(runDir, stateDir string, trouble *trouble) *nodeLock {
	return &nodeLock{runDir: runDir, stateDir: stateDir, trouble: trouble, held: map[string]*os.File{}}
}

// errLocked says that another daemon has the lock.
var errLocked = errors.New("another nri-sriov is at work on this node")

// take waits until no other daemon has the lock, and says who has it meanwhile.
func (l *nodeLock) take(ctx context.Context, log logrus.FieldLogger) error {
	begun, said := time.Now(), time.Time{}
	for {
		err := l.tryAll()
		if !errors.Is(err, errLocked) {
			return nil // what cannot be opened was said
		}
		if time.Since(said) > sayLockEvery {
			said = time.Now()
			log.WithError(err).WithField("waited", time.Since(begun).Round(time.Second).String()).
				Warn("waiting for the other nri-sriov to end; this one goes on by itself then")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockEvery):
		}
	}
}

// keep takes the lock again where its file is gone, as with a folder that was removed, and where it could not be had
// before.
func (l *nodeLock) keep() { l.trouble.say("lock", l.tryAll()) }

// tryAll takes what can be taken. The error is of the first file that cannot, and errLocked before any other.
func (l *nodeLock) tryAll() error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.held == nil {
		return nil // closed
	}
	var failed error
	for _, dir := range []struct {
		path string
		mode os.FileMode
	}{{l.runDir, 0o755}, {l.stateDir, 0o700}} {
		err := os.MkdirAll(dir.path, dir.mode)
		if opened := l.try(filepath.Join(dir.path, lockName)); err == nil || opened == nil {
			err = opened
		}
		if errors.Is(err, errLocked) {
			return err
		}
		if failed == nil && err != nil && len(l.held) == 0 {
			failed = err
		}
	}
	if len(l.held) > 0 {
		return nil
	}
	return fmt.Errorf("no lock keeps a second nri-sriov from this node: %w", failed)
}

func (l *nodeLock) try(path string) error {
	if held, ok := l.held[path]; ok {
		if same(held, path) {
			return nil
		}
		_ = held.Close() // of a file that is gone
		delete(l.held, path)
	}
	file, err := openLock(path)
	if err != nil {
		return err
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		err = fmt.Errorf("%w (%s)", errLocked, holderOf(path))
	case err != nil:
		err = fmt.Errorf("lock %s: %w", path, err)
	case !same(file, path):
		err = fmt.Errorf("%w (%s was replaced)", errLocked, path) // between opening and locking; tried again
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.held[path] = file
	// Who has it is for people to read; a disk that does not take it makes the lock none the worse.
	if note, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0); err == nil {
		_, _ = fmt.Fprintf(note, "%d %s\n", os.Getpid(), time.Now().Format(time.RFC3339))
		_ = note.Close()
	}
	return nil
}

// openLock opens a lock file for reading: a lock needs no more, also on a disk that is read-only, and a file that is open
// for writing would keep people from making it so.
func openLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	return file, nil
}

func same(file *os.File, path string) bool {
	mine, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}

// holderOf says who has a lock, as that has written down.
func holderOf(path string) string {
	text, err := os.ReadFile(path)
	pid, since, ok := strings.Cut(strings.TrimSpace(string(text)), " ")
	if err != nil || !ok {
		return "it has not said which; its lock is " + path
	}
	begun, err := time.Parse(time.RFC3339, since) // wall clock: told to people only
	if err != nil {
		return "pid " + pid + ", lock " + path
	}
	return fmt.Sprintf("pid %s, for %s, lock %s", pid, time.Since(begun).Round(time.Second), path)
}

func (l *nodeLock) close() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, file := range l.held {
		_ = file.Close() // and with it the lock
	}
	l.held = nil
}
