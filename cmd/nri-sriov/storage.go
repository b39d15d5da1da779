package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
)

// probeTime is how long a disk may take for a probe before it counts as one that does not answer.
const probeTime = 5 * time.Second

// storage is where the daemon writes down what it must not forget: the journal and, in the run folder, the copies.
type storage struct{ journal, copies *journal.Journal }

// trouble says why records cannot be written; nil when they can.
func (s storage) trouble() error {
	if err := s.journal.Trouble(); err != nil {
		return err
	}
	return s.copies.Trouble()
}

// probe tries both.
func (s storage) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	err := s.journal.Probe(ctx)
	if copies := s.copies.Probe(ctx); err == nil {
		err = copies
	}
	return err
}

// errors and setAside count since the start.
func (s storage) errors() int   { return s.journal.Errors() + s.copies.Errors() }
func (s storage) setAside() int { return s.journal.AsideCount() + s.copies.AsideCount() }

// openJournal opens the records in a folder and reads them. A disk that gives none away is said, and holds nobody up: VFs
// that pods have are known by their marks.
func (d *daemon) openJournal(dir string) (*journal.Journal, []journal.Record, error) {
	hanging := time.AfterFunc(probeTime, func() {
		d.log.WithField("folder", dir).Error("the disk of the journal does not answer: the start waits for it, and no pod is served meanwhile; see the kernel's log")
	})
	defer hanging.Stop()
	records, err := journal.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	loaded, broken, err := records.Load()
	for _, one := range broken {
		log := d.log.WithField("file", one.Path).WithError(one.Reason)
		d.recordSetAside(one.Path, one.Reason)
		if one.Aside {
			log.Error("a journal record is unreadable and was set aside")
		} else {
			log.Error("a journal record is unreadable and is passed over")
		}
	}
	if err != nil {
		d.log.WithError(err).Error("the journal cannot be read; VFs of pods are known by their marks alone")
	}
	return records, loaded, nil
}

// openRunFolder opens what is written for pods and remembered of functions; what cannot be made now is made when it is
// written.
func (d *daemon) openRunFolder() (*attach.Results, *attach.Bound) {
	results, err := attach.OpenResults(d.flags.runDir)
	bound, boundErr := attach.OpenBound(d.flags.runDir)
	if err == nil {
		err = boundErr
	}
	if err != nil {
		d.log.WithError(err).Error("the run folder cannot be used; it is tried again with each pod that asks for VFs")
	}
	return results, bound
}

// tend looks after the daemon's files every few seconds: whether they can be written, and what was removed behind its back.
func (d *daemon) tend(ctx context.Context) {
	defer close(d.tending)
	for {
		d.trouble.say("journal", d.storage.probe(ctx))
		d.lock.keep()
		d.trouble.say("socket", d.socket.keep())
		d.attacher.Tidy(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepEvery):
		}
	}
}

// ended waits for the end of what may hang, for a while, and answers whether it has come; nothing is lost where it has not.
func ended(end <-chan struct{}) bool {
	if end == nil {
		return true
	}
	select {
	case <-end:
		return true
	case <-time.After(probeTime):
		return false
	}
}

// trouble says what is the matter with a thing when it begins and when it ends, and not each time it is looked at.
type trouble struct {
	log logrus.FieldLogger

	mutex sync.Mutex
	said  map[string]bool
}

func newTrouble(log logrus.FieldLogger) *trouble { return &trouble{log: log, said: map[string]bool{}} }

// say takes note of how it is with what, which may be a part of it, such as "API server, event".
func (t *trouble) say(what string, err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if (err != nil) == t.said[what] {
		return
	}
	t.said[what] = err != nil
	if whole, _, _ := strings.Cut(what, ", "); err != nil {
		t.log.WithField("what", what).WithError(err).Error(troubles[whole])
	} else {
		t.log.WithField("what", what).Info("is well again")
	}
}

// troubles are what follows from each.
var troubles = map[string]string{
	"journal":         "the journal cannot be written: pods that ask for VFs are refused, what ends is released all the same",
	"bound functions": "what was bound for user space cannot be read: those VFs are given to nobody",
	"lock":            "nothing keeps two nri-sriov from working on this node at once",
	"API server":      "the API server is not told: Events and network-status come later, pods are served all the same",
	"socket":          "the command line does not reach the daemon",
}
