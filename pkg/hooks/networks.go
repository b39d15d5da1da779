package hooks

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/cni"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// NetworksPath is where a container finds what it may use, NetworksEnv the variable that says so.
const (
	NetworksPath = "/run/nri-sriov/networks.json"
	NetworksEnv  = "NRI_SRIOV_NETWORKS"
	pciEnvPrefix = "PCIDEVICE_SRIOV_NRI_IO_"
)

// Networks is the content of networks.json.
type Networks struct {
	Networks []Network `json:"networks"`
}

// Network is one attachment as a container is told of it.
type Network struct {
	Network    string `json:"network"`
	Interface  string `json:"interface"`
	PCIAddress string `json:"pciAddress"`
	PF         string `json:"pf"`
	// VFID is -1 for a whole PF.
	VFID int `json:"vfID"`
	// Device is netdev or vfio.
	Device string `json:"device"`
	Driver string `json:"driver"`
	// MAC and MTU, in bytes, are what a netdev has, and what the application of a vfio device is to use; MAC is empty, and
	// MTU 0, where nobody says.
	MAC  string  `json:"mac"`
	VLAN vf.VLAN `json:"vlan"`
	MTU  int     `json:"mtu"`
	// NUMANode is -1 when the firmware does not tell.
	NUMANode int `json:"numaNode"`
	// IPs are addresses with the length of their subnet's prefix. The application of a vfio device sets them itself.
	IPs    []netip.Prefix `json:"ips"`
	Routes []cni.Route    `json:"routes"`
	// IOMMUGroup is left out when no IOMMU is on.
	IOMMUGroup *int `json:"iommuGroup,omitempty"`
	// DeviceNodes are what a container opens to drive the device; a netdev has some with RDMA or vhost-net only.
	DeviceNodes []string `json:"deviceNodes"`
	// VFToken is the UUID that vfio wants to see when the device is opened; left out where it wants none.
	VFToken string `json:"vfToken,omitempty"`
	// Result is the CNI result.
	Result json.RawMessage `json:"result"`
}

// adjust gives a container what it may use of the pod's attachments, and tells it of that.
func adjust(node *Node, sandbox string, container *api.Container, attachments []attach.Attachment) (*api.ContainerAdjustment, error) {
	mine, err := usableBy(node, container, attachments)
	if err != nil {
		return nil, err
	}
	adjustment := &api.ContainerAdjustment{}
	err = addNodes(adjustment, container, mine)
	if err == nil {
		err = unlockMemory(adjustment, container, mine)
	}
	if err == nil {
		err = addHugepages(adjustment, node.Hugepages, sandbox, container, mine)
	}
	if err == nil {
		err = describe(adjustment, node.Results, sandbox, container, mine)
	}
	if err != nil {
		return nil, err
	}
	return adjustment, nil
}

// describe tells a container what it may use.
func describe(adjustment *api.ContainerAdjustment, results *attach.Results, sandbox string, container *api.Container, mine []usable) error {
	if !idForm.MatchString(container.GetId()) {
		return fmt.Errorf("container id %q is not fit for a file name", container.GetId())
	}
	text, err := json.MarshalIndent(networksOf(mine), "", "  ")
	if err != nil {
		return fmt.Errorf("describe the networks: %w", err)
	}
	if isDescribed(container) {
		return errors.New("the container has a mount of its own at " + NetworksPath)
	}
	source, err := results.WriteNetworks(sandbox, container.GetId(), text)
	if err != nil {
		return err
	}
	adjustment.AddMount(&api.Mount{
		Source: source, Destination: NetworksPath, Type: "bind", Options: []string{"bind", "ro", "nosuid", "nodev", "noexec"},
	})
	adjustment.AddEnv(NetworksEnv, NetworksPath)
	addresses := map[string][]string{}
	for _, one := range mine {
		name := (&config.Network{Name: one.Network}).EnvName()
		addresses[name] = append(addresses[name], one.Address.String())
	}
	for name, list := range addresses {
		adjustment.AddEnv(pciEnvPrefix+name, strings.Join(list, ","))
	}
	return nil
}

func networksOf(mine []usable) Networks {
	all := Networks{Networks: []Network{}}
	for _, one := range mine {
		for i, port := range one.Ports {
			all.Networks = append(all.Networks, networkOf(one, port, i == 0))
		}
	}
	return all
}

// networkOf tells of one interface; addresses and routes are on the first.
func networkOf(one usable, port attach.Port, first bool) Network {
	network := Network{
		Network: one.Network, Interface: port.Interface, PCIAddress: one.Address.String(), PF: one.PFName, VFID: one.VFID,
		Device: cmp.Or(one.Device, config.DeviceNetdev), Driver: one.Driver, VLAN: one.Settings.VLAN, MTU: cmp.Or(port.MTU, one.MTU),
		NUMANode: one.NUMANode, IPs: []netip.Prefix{}, Routes: []cni.Route{}, DeviceNodes: []string{}, VFToken: one.VFToken, Result: one.Result,
	}
	// A vfio device has no interface that could tell.
	if mac := cmp.Or(port.MAC, one.Settings.MAC); !mac.IsZero() {
		network.MAC = mac.String()
	}
	for _, node := range one.nodes {
		network.DeviceNodes = append(network.DeviceNodes, node.Path)
	}
	if first {
		for _, address := range one.AllAddresses() {
			network.IPs = append(network.IPs, address.Prefix)
		}
		network.Routes = append(network.Routes, one.AllRoutes()...)
	}
	if one.IOMMUGroup >= 0 {
		network.IOMMUGroup = &one.IOMMUGroup
	}
	return network
}
