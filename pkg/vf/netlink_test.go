package vf

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestBusyDriversAreAskedAgain(t *testing.T) {
	t.Attr("fault", "24")
	answers := []error{unix.EAGAIN, unix.EBUSY, nil}
	tries := 0
	err := retry(t.Context(), func() error { tries++; return answers[tries-1] })
	if err != nil || tries != 3 {
		t.Errorf("%d tries, %v", tries, err)
	}
}

func TestBusyDriversAreAskedForALimitedTime(t *testing.T) {
	t.Attr("fault", "24")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	tries := 0
	err := retry(ctx, func() error { tries++; return unix.EBUSY })
	if !errors.Is(err, ErrBusy) || tries < 2 || tries > 10 {
		t.Errorf("%d tries, %v", tries, err)
	}
}

func TestRefusalsAreNotRepeated(t *testing.T) {
	t.Attr("fault", "26")
	for refusal, want := range map[error]error{unix.EOPNOTSUPP: ErrUnsupported, unix.EINVAL: unix.EINVAL} {
		tries := 0
		err := retry(t.Context(), func() error { tries++; return refusal })
		if !errors.Is(err, want) || tries != 1 {
			t.Errorf("%v: %d tries, %v", refusal, tries, err)
		}
	}
}
