package hooks

import (
	"encoding/json"
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/cni"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// TestNetworksAsText holds networks.json to testdata/networks.json: a device of vfio with its addresses and its token,
// and a netdev with an RDMA device, journaled when there was nothing but netdevs.
func TestNetworksAsText(t *testing.T) {
	settings := vf.DefaultSettings()
	settings.MAC = vf.MAC{2, 0, 0, 0, 0, 0x11}
	settings.VLAN.ID = 100
	node := func(path string) dpdk.Node { return dpdk.Node{Path: path, Type: 'c'} }
	text, err := json.MarshalIndent(networksOf([]usable{
		{attach.Attachment{
			Network: "fast-path", Interface: "net1", Device: config.DeviceVFIO, Address: vf.PCIAddress{Bus: 1, Device: 0x10}, PFName: "enp1s0",
			Driver: "vfio-pci", NUMANode: 1, IOMMUGroup: 42, VFToken: "14d63f20-8445-11ea-8900-1f9ce7d5650d", Settings: settings, MTU: 9000,
			Ports:     []attach.Port{{Interface: "net1"}},
			Addresses: []cni.Address{{Prefix: netip.MustParsePrefix("192.0.2.10/24")}},
			Routes:    []cni.Route{{Destination: netip.MustParsePrefix("198.51.100.0/24"), Gateway: netip.MustParseAddr("192.0.2.1")}},
			Result:    json.RawMessage(`{"cniVersion": "1.1.0"}`),
		}, []dpdk.Node{node("/dev/vfio/vfio"), node("/dev/vfio/42")}},
		{attach.Attachment{
			Network: "storage", Interface: "net2", RDMA: true, Address: vf.PCIAddress{Bus: 2, Device: 0x10, Function: 3},
			PFName: "enp2s0", VFID: 3, Driver: "mlx5_core", NUMANode: -1, IOMMUGroup: -1, Settings: vf.DefaultSettings(),
			Ports:  []attach.Port{{Interface: "net2", MAC: vf.MAC{2, 0, 0, 0, 0, 0x22}, MTU: 1500}},
			Result: json.RawMessage(`{"cniVersion": "1.1.0"}`),
		}, []dpdk.Node{node("/dev/infiniband/uverbs3"), node("/dev/infiniband/rdma_cm")}},
	}), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/networks.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)+"\n"); diff != "" {
		t.Errorf("%s\n%s", diff, text)
	}
}
