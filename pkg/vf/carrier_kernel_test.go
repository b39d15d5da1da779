package vf

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestCarrier(t *testing.T) {
	ns := privateNamespace(t)
	link := veth(t, ns, "net1", "wire")
	peer, err := ns.Interface("wire")
	if err == nil {
		err = ns.Change(t.Context(), link.Index, LinkChange{Up: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	wait := func(limit time.Duration) (Interface, error) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		return ns.Carrier(ctx, "net1")
	}
	if _, err := wait(50 * time.Millisecond); !errors.Is(err, ErrNoCarrier) {
		t.Errorf("with its other end down: %v", err)
	}
	raised := make(chan error, 1)
	time.AfterFunc(100*time.Millisecond, func() { raised <- ns.Change(t.Context(), peer.Index, LinkChange{Up: true}) })
	if got, err := wait(10 * time.Second); err != nil || !got.Running || got.Index != link.Index {
		t.Errorf("raised meanwhile: %+v, %v", got, err)
	}
	if err := <-raised; err != nil {
		t.Fatal(err)
	}
	if got, err := wait(10 * time.Second); err != nil || !got.Running {
		t.Errorf("raised before: %+v, %v", got, err)
	}
	if err := ns.Change(t.Context(), peer.Index, LinkChange{Down: true}); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { raised <- ns.Change(t.Context(), link.Index, LinkChange{Down: true, Name: "gone"}) })
	if _, err := wait(10 * time.Second); !errors.Is(err, ErrNoInterface) {
		t.Errorf("renamed meanwhile: %v", err)
	}
	if err := <-raised; err != nil {
		t.Fatal(err)
	}
}
