package attach

import (
	"fmt"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
)

// Given is what user space drives a device through, as the kernel has it now: groups and numbers of nodes change with
// each bind.
type Given struct {
	// IOMMUGroup is -1 when the device is in none.
	IOMMUGroup int
	Nodes      []dpdk.Node
}

// NodesOf reads what an attachment's containers are given. Nothing is read for a netdev without device nodes.
func NodesOf(host *dpdk.Host, a Attachment) (Given, error) {
	if a.Device != config.DeviceVFIO && !a.RDMA && !a.VhostNet {
		return Given{IOMMUGroup: a.IOMMUGroup}, nil
	}
	nodes, group, err := host.Give(a.Address, a.Driver, dpdk.NodeOptions{AllowNoIOMMU: a.AllowNoIOMMU, RDMA: a.RDMA, VhostNet: a.VhostNet})
	if err != nil {
		return Given{}, fmt.Errorf("network %q: %w", a.Network, err)
	}
	return Given{IOMMUGroup: group, Nodes: nodes}, nil
}
