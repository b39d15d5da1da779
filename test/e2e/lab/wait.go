package lab

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// final is an error that waiting cannot mend.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// poll tries until it succeeds, a final error comes, or limit is over; then it
// returns what the last try said.
func poll(ctx context.Context, limit time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		once, cancel := context.WithTimeout(ctx, 15*time.Second)
		err := try(once)
		cancel()
		if err == nil {
			return nil
		}
		if stop := (final{}); errors.As(err, &stop) {
			return stop.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited (at most %s): %w: %w", limit, ctx.Err(), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// GiveUp marks an error that Eventually is not to wait out.
func GiveUp(err error) error { return final{err} }

// Eventually tries until it succeeds, for at most limit; then the error is the
// last try's. It is for a state of the guest that comes a little later.
func Eventually(ctx context.Context, limit time.Duration, try func(context.Context) error) error {
	return poll(ctx, limit, try)
}
