package dpdk

import (
	"context"
	"errors"
	"fmt"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// rollBack puts back what a device had before a bind that failed, and returns the cause with what came of it. It goes on
// when the context has ended: each wait has its bound, and the time that a write takes has none in any case.
func (h *Host) rollBack(ctx context.Context, address vf.PCIAddress, before binding, wanted string, cause error) error {
	if err := h.putBack(context.WithoutCancel(ctx), address, before, wanted); err != nil {
		return errors.Join(fmt.Errorf("%w; it is not back at %s", cause, orNone(before.driver)),
			fmt.Errorf("put it back: %w", err))
	}
	return fmt.Errorf("%w; it is back at %s", cause, orNone(before.driver))
}

func (h *Host) putBack(ctx context.Context, address vf.PCIAddress, before binding, wanted string) error {
	override := before.override
	switch {
	case IsStandIn(before.driver):
		override = before.driver
	case override == wanted:
		override = "" // left by an earlier call that was cut short
	}
	now, err := h.binding(address)
	if err != nil {
		return err
	}
	if now.override != override {
		if err := h.setOverride(address, override); err != nil {
			return err
		}
	}
	if now.driver == before.driver {
		return nil
	}
	if err := h.detach(ctx, address, now.driver); err != nil || before.driver == "" {
		return err
	}
	return h.attach(ctx, address, before.driver)
}

// explain adds what can be known of why a driver does not take a device.
func (h *Host) explain(address vf.PCIAddress, driver string, cause error) error {
	if !IsVFIO(driver) || errors.Is(cause, context.Canceled) {
		return cause
	}
	group, err := h.Group(address)
	if err == nil && group.Number < 0 {
		return fmt.Errorf("%w; %s", cause, iommuOff)
	}
	return cause
}
