package dpdk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Reset resets a function, so that nothing which its last user wrote into it is left: filters, promiscuity, queues. What
// was set through the PF stays.
//
// It is refused while the device is bound to a driver of the kernel: igbvf never comes back from it when its interface is
// down, with the device's lock held. So it belongs between the tenant and Restore. It is refused for a PF that has VFs.
// Nobody may hold the device open; see Holders.
func (h *Host) Reset(ctx context.Context, address vf.PCIAddress) error {
	if err := h.reset(ctx, address); err != nil {
		return fmt.Errorf("reset %s: %w", address, err)
	}
	return nil
}

func (h *Host) reset(ctx context.Context, address vf.PCIAddress) error {
	driver, err := h.Driver(address)
	if err != nil {
		return err
	}
	if driver != "" && !IsStandIn(driver) {
		return fmt.Errorf("it is bound to %s, and some drivers hang for ever then: unbind it first", driver)
	}
	if err := errors.Join(h.refuseVFs(address), ctx.Err()); err != nil {
		return err
	}
	err = h.write(device(address, "reset"), "1")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTTY) {
		return fmt.Errorf("the device cannot be reset, so what its last user left in it stays: do not use it for vfio: %w", err)
	}
	return err
}
