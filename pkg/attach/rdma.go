package attach

import (
	"context"
	"errors"
	"fmt"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// attachRDMA moves the RDMA devices of a VF after its interface, where the RDMA subsystem keeps them apart by network
// namespace; where it shares them, the nodes are enough.
func (d Devices) attachRDMA(ctx context.Context, a Attachment, ns *vf.Namespace) error {
	if !a.RDMA || a.State == Attached {
		return nil
	}
	names, err := d.Host.RDMADevices(a.Address)
	if err != nil {
		return err
	}
	exclusive, err := d.Host.RDMAExclusive()
	if err != nil {
		return fmt.Errorf("the network asks for rdma: %w", err)
	}
	if len(names) == 0 {
		moved, err := ns.RDMADevices()
		if err == nil && (!exclusive || len(moved) == 0) {
			err = fmt.Errorf("the network asks for rdma, but %s (driver %s) has no RDMA device: load the RDMA module of its driver", a.Address, a.Driver)
		}
		return err
	}
	if !exclusive {
		return nil
	}
	for _, name := range names {
		if err := d.Host.MoveRDMA(ctx, name, ns); err != nil {
			return err
		}
	}
	return nil
}

// releaseRDMA brings home what RDMA devices there are in the pod: they are its VFs', all of which are released together.
// From a namespace that has ended the kernel has sent them home.
func (d Devices) releaseRDMA(ctx context.Context, a Attachment, ns *vf.Namespace) error {
	if !a.RDMA || ns == nil {
		return nil
	}
	exclusive, err := d.Host.RDMAExclusive()
	if errors.Is(err, vf.ErrNoRDMA) || err == nil && !exclusive {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := ns.RDMADevices()
	if err != nil {
		return err
	}
	for _, name := range names {
		err := ns.MoveRDMA(ctx, name, d.Host.Namespace())
		if err != nil && !errors.Is(err, vf.ErrNoRDMADevice) {
			return err
		}
	}
	return nil
}
