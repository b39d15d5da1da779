package vf

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrNoCarrier says that an interface is down, or has no link, for as long as it was waited for.
var ErrNoCarrier = errors.New("no carrier")

// Carrier waits until an interface of the namespace is up and has a carrier, and answers what it is then. The kernel tells
// of it and is asked only after it has told: whoever asks again and again takes the lock that every move of a VF needs.
// When ctx ends it gives ErrNoCarrier, and ErrNoInterface as soon as there is none of that name.
func (n *Namespace) Carrier(ctx context.Context, name string) (Interface, error) {
	events, err := n.listen(unix.NETLINK_ROUTE, nil, unix.RTNLGRP_LINK)
	if err != nil {
		return Interface{}, fmt.Errorf("wait for the carrier of %s: %w", name, err)
	}
	told, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() { ended <- events.wake(told) }()
	link, err := n.untilCarrier(ctx, name, told, ended)
	return link, errors.Join(err, events.Close())
}

// wake gives a signal for each message, whatever it says, until the socket is closed.
func (l *listener) wake(told chan<- struct{}) error {
	var ignored [unix.SizeofNlMsghdr]byte
	for {
		_, kernels, err := l.receive(ignored[:])
		switch {
		case err != nil && !errors.Is(err, unix.ENOBUFS):
			return fmt.Errorf("listen to the kernel: %w", err)
		case err != nil || kernels:
			signal(told)
		}
	}
}

func (n *Namespace) untilCarrier(ctx context.Context, name string, told <-chan struct{}, ended <-chan error) (Interface, error) {
	for {
		link, err := n.Interface(name)
		if err != nil || link.Running {
			return link, err
		}
		select {
		case <-told:
		case err := <-ended:
			return link, fmt.Errorf("wait for the carrier of %s: %w", name, err)
		case <-ctx.Done():
			return link, fmt.Errorf("%s: %w", name, ErrNoCarrier)
		}
	}
}
