package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
)

// TestShortageIsNoFailedAttach: in a cluster an attach ends with it only after the hook has returned.
func TestShortageIsNoFailedAttach(t *testing.T) {
	m, registry := newMeters(), prometheus.NewRegistry()
	m.register(registry)
	for _, err := range []error{nil, fmt.Errorf("network %q: %w", "a", inventory.ErrNoFreeVF), attach.ErrQuota, errors.New("the kernel refuses")} {
		m.settled(attach.Settled{Err: err})
	}
	families, err := registry.Gather()
	mustDo(t, err)
	for _, family := range families {
		for _, one := range family.GetMetric() {
			if family.GetName() == "nri_sriov_attach_duration_seconds" && one.GetHistogram().GetSampleCount() != 1 {
				t.Errorf("%v: counted %d times", one.GetLabel(), one.GetHistogram().GetSampleCount())
			}
		}
	}
}
