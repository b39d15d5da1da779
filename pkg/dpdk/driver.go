package dpdk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// binding is what a device has of drivers: the one that it is bound to, and the only one that it may be bound to. Both
// are empty for none.
type binding struct{ driver, override string }

// Driver is the name of the driver that a device is bound to, empty when it is bound to none. A device that is not there
// gives fs.ErrNotExist.
func (h *Host) Driver(address vf.PCIAddress) (string, error) {
	if _, err := h.sysfs.Stat(device(address)); err != nil {
		return "", fmt.Errorf("read the driver of %s: %w", address, err)
	}
	driver, err := h.linkBase(device(address, "driver"))
	if err != nil {
		return "", fmt.Errorf("read the driver of %s: %w", address, err)
	}
	return driver, nil
}

func (h *Host) binding(address vf.PCIAddress) (binding, error) {
	driver, err := h.Driver(address)
	if err != nil {
		return binding{}, err
	}
	content, err := h.sysfs.ReadFile(device(address, "driver_override"))
	if err != nil {
		return binding{}, fmt.Errorf("read the driver override of %s: %w", address, err)
	}
	override, _, _ := strings.Cut(string(content), "\n")
	if override == "(null)" {
		override = ""
	}
	return binding{driver, override}, nil
}

// Bind binds a device to a driver that is not its own, such as vfio-pci, and keeps it there: driver_override stays, so
// that no other probe takes the device away; Restore ends it. A device that is bound already has its override set at the
// most.
//
// It is refused, with nothing changed, when the kernel does not have the driver, and for a PF that has VFs, which would
// go. When the driver does not take the device, what the device had before is put back, and the error says why and
// whether that worked. A device that had no driver is left with none: who knows of an earlier one calls Restore.
//
// Cut short anywhere, it can be called again, or Restore.
func (h *Host) Bind(ctx context.Context, address vf.PCIAddress, driver string) error {
	if err := h.bind(ctx, address, driver); err != nil {
		return fmt.Errorf("bind %s to %s: %w", address, driver, err)
	}
	return nil
}

func (h *Host) bind(ctx context.Context, address vf.PCIAddress, driver string) error {
	before, err := h.binding(address)
	if err != nil {
		return err
	}
	if before.driver == driver && before.override == driver {
		return nil
	}
	if err := errors.Join(ctx.Err(), h.driverPresent(driver)); err != nil {
		return err
	}
	if before.driver != driver {
		if err := h.refuseVFs(address); err != nil {
			return err
		}
	}
	// The override comes first: from here on nothing but the driver that is wanted can take the device.
	err = h.setOverride(address, driver)
	if err == nil && before.driver != driver {
		err = h.exchange(ctx, address, before.driver, driver)
	}
	if err == nil {
		return nil
	}
	return h.rollBack(ctx, address, before, driver, h.explain(address, driver, err))
}

// exchange takes the device from one driver, if there is one, and gives it to the next.
func (h *Host) exchange(ctx context.Context, address vf.PCIAddress, from, to string) error {
	if err := h.detach(ctx, address, from); err != nil {
		return err
	}
	return h.attach(ctx, address, to)
}

// Unbind leaves a device without driver and without driver_override. It is the way back for a device that had no driver
// when it was bound; see Restore for the others.
func (h *Host) Unbind(ctx context.Context, address vf.PCIAddress) error {
	if err := h.unbind(ctx, address); err != nil {
		return fmt.Errorf("unbind %s: %w", address, err)
	}
	return nil
}

func (h *Host) unbind(ctx context.Context, address vf.PCIAddress) error {
	now, err := h.binding(address)
	if err != nil {
		return err
	}
	if now.driver != "" {
		if err := h.refuseVFs(address); err != nil {
			return err
		}
	}
	if err := h.clearOverride(address, now); err != nil {
		return err
	}
	return h.detach(ctx, address, now.driver)
}

// Restore gives a device back to the kernel's own driver: driver_override is cleared and the driver probed. With an
// empty driver any will do that the kernel has for the device; with one that takes devices by override only, such as
// vfio-pci, Restore does what Bind does. It puts nothing back when it fails: it can be called again, and a device on its
// way home is not to be seen in a tenant's driver.
func (h *Host) Restore(ctx context.Context, address vf.PCIAddress, driver string) error {
	if IsStandIn(driver) {
		return h.Bind(ctx, address, driver)
	}
	if err := h.restore(ctx, address, driver); err != nil {
		return fmt.Errorf("give %s back to %s: %w", address, orKernel(driver), err)
	}
	return nil
}

func (h *Host) restore(ctx context.Context, address vf.PCIAddress, driver string) error {
	now, err := h.binding(address)
	if err != nil {
		return err
	}
	home := now.driver == driver
	if driver == "" {
		home = now.driver != "" && !IsStandIn(now.driver)
	}
	if home {
		return h.clearOverride(address, now)
	}
	if driver != "" {
		if err := h.driverPresent(driver); err != nil {
			return err
		}
	}
	if now.driver != "" {
		if err := h.refuseVFs(address); err != nil {
			return err
		}
	}
	if err := errors.Join(ctx.Err(), h.clearOverride(address, now)); err != nil {
		return err
	}
	return h.exchange(ctx, address, now.driver, driver)
}

// detach unbinds from the driver and waits until the link is gone. Whoever was faster is not an error.
func (h *Host) detach(ctx context.Context, address vf.PCIAddress, driver string) error {
	if driver == "" {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := h.write(path.Join(pciDrivers, driver, "unbind"), address.String())
	if err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("unbind from %s: %w", driver, err)
	}
	now, err := h.await(ctx, address, func(now string) bool { return now != driver })
	if err != nil {
		return fmt.Errorf("unbind from %s: %w", driver, err)
	}
	if now != "" {
		return fmt.Errorf("unbind from %s: somebody else has bound it to %s meanwhile", driver, now)
	}
	return nil
}

// attach has the device probed and waits for the link. Without a driver, any will do.
//
// drivers_probe answers EINVAL whatever the driver said, and success when no driver felt responsible. bind tells the
// driver's own answer, so it is asked after a probe that gave no link.
func (h *Host) attach(ctx context.Context, address vf.PCIAddress, driver string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	bound := func(now string) bool { return now != "" && (driver == "" || now == driver) }
	answer := h.write("bus/pci/drivers_probe", address.String())
	if answer == nil {
		if _, answer = h.await(ctx, address, bound); answer == nil || ctx.Err() != nil {
			return answer
		}
	}
	if driver == "" {
		return fmt.Errorf("no driver of the kernel takes it (%w): load the module of its driver, then drivers_probe it", answer)
	}
	if err := h.write(path.Join(pciDrivers, driver, "bind"), address.String()); err != nil {
		now, readErr := h.Driver(address)
		switch {
		case readErr == nil && now == driver:
			return nil
		case now != "":
			return fmt.Errorf("%s was faster than %s: %w", now, driver, err)
		}
		return fmt.Errorf("%s does not take it: %w", driver, errors.Join(err, readErr))
	}
	_, err := h.await(ctx, address, bound)
	return err
}

// await polls the driver link until it is as wanted, and tells what it is then.
func (h *Host) await(ctx context.Context, address vf.PCIAddress, wanted func(driver string) bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, h.settle)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := h.Driver(address)
		if err != nil || wanted(now) {
			return now, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return now, fmt.Errorf("it is bound to %s still: %w", orNone(now), ctx.Err())
		}
	}
}

func (h *Host) setOverride(address vf.PCIAddress, driver string) error {
	// A newline alone clears it on every kernel; nothing at all is ignored, and a NUL is taken for a name by some.
	if err := h.write(device(address, "driver_override"), driver+"\n"); err != nil {
		return fmt.Errorf("set the driver override to %q: %w", driver, err)
	}
	return nil
}

func (h *Host) clearOverride(address vf.PCIAddress, now binding) error {
	if now.override == "" {
		return nil
	}
	return h.setOverride(address, "")
}

func (h *Host) driverPresent(driver string) error {
	if err := checkName("driver", driver); err != nil {
		return err
	}
	present, err := h.exists(path.Join(pciDrivers, driver))
	if err != nil {
		return fmt.Errorf("look for the driver %s: %w", driver, err)
	}
	if !present {
		return fmt.Errorf("the kernel has no driver %s now: %s: %w", driver, moduleOf(driver), fs.ErrNotExist)
	}
	return nil
}

// refuseVFs keeps a PF from being taken from its driver, or being reset, under its VFs.
func (h *Host) refuseVFs(address vf.PCIAddress) error {
	count, err := h.text(device(address, "sriov_numvfs"))
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && count == "0":
		return nil
	case err != nil:
		return fmt.Errorf("count the VFs: %w", err)
	}
	return fmt.Errorf("it is a PF with VFs (%s), which would go: write 0 to its sriov_numvfs first, when nobody has them", count)
}

func orNone(driver string) string {
	if driver == "" {
		return "no driver"
	}
	return driver
}

func orKernel(driver string) string {
	if driver == "" {
		return "the kernel's own driver"
	}
	return driver
}
