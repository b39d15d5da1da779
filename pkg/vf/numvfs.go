package vf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"time"
)

// CreateVFs creates n VFs on a PF and waits until their devices are there, unless driverless with their interfaces. The PF
// is raised first: VFs of a PF that is down start without a mailbox on some adapters. It takes seconds to minutes, by
// driver.
func (h *Host) CreateVFs(ctx context.Context, pf PF, n int, driverless bool) error {
	if err := h.raise(ctx, pf); err != nil {
		return fmt.Errorf("create %d VFs on %s: %w", n, pf.Name(), err)
	}
	name := path.Join(pciDevices, pf.Address.String(), "sriov_numvfs")
	if err := h.write(name, strconv.Itoa(n)); err != nil {
		return fmt.Errorf("create %d VFs on %s: %w", n, pf.Name(), err)
	}
	made := time.Time{}
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		vfs, err := h.VFs(pf.Address)
		if err != nil {
			return err
		}
		bound, named := 0, true
		for _, one := range vfs {
			if driverless || (one.Driver != "" && len(one.Interfaces) > 0) {
				bound++
			}
			named = named && !h.enumerated(one)
		}
		if bound == n && made.IsZero() {
			made = time.Now()
		}
		if bound == n && (named || time.Since(made) > namingTime) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("create %d VFs on %s: only %d have come with an interface: %w", n, pf.Name(), bound, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// namingTime is how long udev is given to name interfaces; where there is no udev, they keep the kernel's names.
const namingTime = time.Second

// enumerated tells whether an interface of a VF has a name of the kernel's still, such as eth4 (NET_NAME_ENUM of
// linux/netdevice.h), which udev may be about to change.
func (h *Host) enumerated(one VF) bool {
	for _, name := range one.Interfaces {
		kind, err := h.number(path.Join(pciDevices, one.Address.String(), "net", name, "name_assign_type"))
		if err == nil && kind == 1 {
			return true
		}
	}
	return false
}

func (h *Host) raise(ctx context.Context, pf PF) error {
	if pf.Interface == "" {
		return fmt.Errorf("it has no interface in the host (driver %q)", pf.Driver)
	}
	link, err := h.Interface(pf.Interface)
	if err != nil || link.Up {
		return err
	}
	return h.Change(ctx, link.Index, LinkChange{Up: true})
}

// RemoveVFs ends all VFs of a PF, where it has some. None of them may be in use: the write waits for their drivers.
func (h *Host) RemoveVFs(pf PCIAddress) error {
	name := path.Join(pciDevices, pf.String(), "sriov_numvfs")
	count, err := h.number(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && count == 0 {
		return nil
	}
	if err == nil {
		err = h.write(name, "0")
	}
	if err != nil {
		return fmt.Errorf("remove the VFs of %s: %w", pf, err)
	}
	return nil
}
