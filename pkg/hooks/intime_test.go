package hooks

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
)

// TestInTime: an answer that is late is an error, before the runtime's own patience ends.
func TestInTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	hold := make(chan struct{})
	defer close(hold)
	_, err := inTime(ctx, func() (*api.ContainerAdjustment, error) {
		<-hold
		return nil, nil
	})
	if err == nil || !strings.Contains(err.Error(), "the container is tried again") {
		t.Error(err)
	}
	want := &api.ContainerAdjustment{}
	if got, err := inTime(t.Context(), func() (*api.ContainerAdjustment, error) { return want, nil }); got != want || err != nil {
		t.Error(got, err)
	}
}
