package attach

import (
	"context"
	"fmt"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// restoreVFs creates the VFs of a PF again, which had to go while a pod drove the PF itself. They get their names back;
// what else they are is up to the driver, as after a reboot.
func (d Devices) restoreVFs(ctx context.Context, a Attachment, pf vf.PF) error {
	pf, err := d.Host.PF(pf.Address)
	if err != nil {
		return err
	}
	if pf.NumVFs == 0 {
		if err := d.Host.CreateVFs(ctx, pf, a.NumVFs, len(a.VFNames) == 0); err != nil {
			return err
		}
	}
	vfs, err := d.Host.VFs(pf.Address)
	if err != nil {
		return err
	}
	for _, one := range vfs {
		name, known := a.VFNames[one.ID]
		if !known || len(one.Interfaces) != 1 || one.Interfaces[0] == name {
			continue
		}
		link, err := d.Host.Interface(one.Interfaces[0])
		if err == nil {
			err = d.Host.Change(ctx, link.Index, vf.LinkChange{Name: name})
		}
		if err != nil {
			return fmt.Errorf("give VF %d of %s its name %s back: %w", one.ID, pf.Name(), name, err)
		}
	}
	return nil
}
