package attach

import (
	"context"
	"errors"
	"fmt"
)

// Question asks somebody who may be slow, the kubelet, what a sandbox is to have. It is asked off the hooks, for as long as
// the sandbox lives and there is no answer, and again whenever the sandbox is tried anew. No wants mean that the sandbox is to have nothing and is none of ours. An error that
// is ErrUnanswered says that nobody knows.
type Question func(ctx context.Context) ([]Want, error)

// ErrUnanswered says that it is not known yet what a sandbox is to have.
var ErrUnanswered = errors.New("the kubelet has not said which VFs the pod was given; it is asked again")

// errNothing ends an attempt of a sandbox that is to have nothing.
var errNothing = errors.New("the sandbox is to have nothing")

// AttachAsking is Attach for a sandbox of which only the answer tells which VFs it is to have; wants are what it asks for
// by itself, nil when it does not. VFs are claimed once the answer is there.
func (a *Attacher) AttachAsking(sandbox Sandbox, wants []Want, isolate bool, ask Question) error {
	return a.enter(&entry{sandbox: sandbox, wants: wants, isolate: isolate, ask: ask})
}

// asked is an attempt that begins with the question.
func (a *Attacher) asked(ctx context.Context, e *entry) error {
	if err := a.answer(ctx, e); err != nil {
		return err
	}
	if err := a.claim(e); err != nil {
		return err
	}
	return a.attach(ctx, e)
}

// answer asks, and takes the answer over.
func (a *Attacher) answer(ctx context.Context, e *entry) error {
	a.mutex.Lock()
	ask := e.ask
	a.mutex.Unlock()
	wants, err := ask(ctx)
	if err != nil {
		return err
	}
	if len(wants) == 0 {
		return errNothing
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	e.wants, e.answered = wants, true
	return nil
}

// answerLate is answer for a sandbox that runs already, where there is a question. The runtime may list it again meanwhile.
func (a *Attacher) answerLate(ctx context.Context, e *entry) error {
	a.mutex.Lock()
	asks := e.ask != nil
	a.mutex.Unlock()
	if !asks {
		return nil
	}
	if err := a.answer(ctx, e); err != nil {
		return err
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.checkQuota(e)
}

// claim is what begin does of an attempt, for one that was under way before it was known what it is for.
func (a *Attacher) claim(e *entry) error {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if e.phase != attaching {
		return fmt.Errorf("sandbox %s: %w", e.sandbox.ID, context.Canceled)
	}
	return a.take(e)
}

// unasked tells that a sandbox is not known to have or to want anything.
func (e *entry) unasked() bool { return e.ask != nil && len(e.wants) == 0 && len(e.attachments) == 0 }
