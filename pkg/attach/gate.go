package attach

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/journal"
)

// ErrAtWork says that a sandbox's attachments are still being made.
var ErrAtWork = errors.New("still at work")

// Ready waits until all attachments of a sandbox are there, and gives them. When ctx ends first, or the attach has
// failed, the error says what is the matter; asking again is right in both cases, and tries a failed attach anew.
func (a *Attacher) Ready(ctx context.Context, sandbox string) ([]Attachment, error) {
	a.mutex.Lock()
	e, ok := a.entries[sandbox]
	if !ok {
		a.mutex.Unlock()
		return nil, ErrUnknownSandbox
	}
	e.absentSince = time.Time{}
	if e.again(a.times.Again) {
		if err := a.begin(e); err != nil {
			e.err, e.failedAt = err, time.Now()
		}
	}
	settled := e.settled
	a.mutex.Unlock()
	if settled != nil {
		select {
		case <-settled:
		case <-ctx.Done():
		}
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	switch e.phase {
	case ready:
		return slices.Clone(e.attachments), nil
	case failed:
		return nil, e.err
	case without:
		return nil, ErrUnknownSandbox
	case releasing:
		return nil, fmt.Errorf("sandbox %s is being released", sandbox)
	case later:
		return nil, fmt.Errorf("the sandbox's record: %w", journal.ErrLater)
	case recovering:
		return nil, errors.New("the daemon has just started and is still finding out what the pod has; the container is tried again")
	}
	if e.ask != nil && !e.answered && len(e.attachments) == 0 {
		return nil, ErrUnanswered
	}
	return nil, fmt.Errorf("%w: %s; the container is tried again", ErrAtWork, e.progress())
}

// again tells whether a failed attach is to be tried anew: not at once, not before its VFs are back, and not when
// nobody knows what the pod may have.
func (e *entry) again(pause time.Duration) bool {
	if e.phase != failed || len(e.wants) == 0 && e.ask == nil || time.Since(e.failedAt) < pause {
		return false
	}
	select {
	case <-e.withdrawn:
		return true
	default:
		return e.withdrawn == nil
	}
}

func (e *entry) progress() string {
	var steps []string
	for _, one := range e.attachments {
		steps = append(steps, fmt.Sprintf("%s %s (%s)", one.Interface, one.State, one.Address))
	}
	if len(steps) == 0 {
		return "waiting for VFs that are in release"
	}
	return strings.Join(steps, ", ")
}
