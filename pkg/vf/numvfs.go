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
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		vfs, err := h.VFs(pf.Address)
		if err != nil {
			return err
		}
		bound := 0
		for _, one := range vfs {
			if driverless || (one.Driver != "" && len(one.Interfaces) > 0) {
				bound++
			}
		}
		if bound == n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("create %d VFs on %s: only %d have come with an interface: %w", n, pf.Name(), bound, ctx.Err())
		case <-time.After(pause):
		}
	}
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
