package hooks

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/request"
)

// usable is an attachment that a container may use. Its IOMMU group and its nodes are those that the kernel has now.
type usable struct {
	attach.Attachment
	nodes []dpdk.Node
}

// usableBy looks up what a container is given. The numbers of nodes change with each bind, so nobody has asked before.
func usableBy(node *Node, container *api.Container, attachments []attach.Attachment) ([]usable, error) {
	var mine []usable
	for _, one := range attachments {
		if !one.UsableBy(container.GetName()) {
			continue
		}
		u := usable{Attachment: one}
		if isVFIO(u) || one.RDMA || one.VhostNet {
			if node.Given == nil {
				return nil, fmt.Errorf("network %q: the daemon has no way to the device nodes of this node", one.Network)
			}
			given, err := node.Given(one)
			if err != nil {
				return nil, err
			}
			u.IOMMUGroup, u.nodes = given.IOMMUGroup, given.Nodes
		}
		if isVFIO(u) {
			if err := reachable(u, container); err != nil {
				return nil, fmt.Errorf("network %q: %w", one.Network, err)
			}
		}
		mine = append(mine, u)
	}
	return mine, nil
}

func isVFIO(one usable) bool { return one.Device == config.DeviceVFIO }

func reachable(one usable, container *api.Container) error {
	if len(one.nodes) == 0 {
		return fmt.Errorf("%s is bound to %s, which has no device nodes for user space: it should be bound to vfio-pci", one.Address, one.Driver)
	}
	if hasNamespace(container.GetLinux().GetNamespaces(), "user") {
		return request.ErrUserNamespace
	}
	return nil
}

func hasNamespace(namespaces []*api.LinuxNamespace, kind string) bool {
	return slices.ContainsFunc(namespaces, func(ns *api.LinuxNamespace) bool { return ns.GetType() == kind })
}

// addNodes gives a container the nodes that it does not have yet, each path once. The runtime makes the rule of the
// device cgroup from each of them.
func addNodes(adjustment *api.ContainerAdjustment, container *api.Container, mine []usable) error {
	have := map[string]*api.LinuxDevice{}
	for _, device := range container.GetLinux().GetDevices() {
		have[path.Clean(device.GetPath())] = device
	}
	for _, one := range mine {
		for _, node := range one.nodes {
			device := deviceOf(node, container.GetUser())
			if other, there := have[node.Path]; there {
				if numberOf(other) != numberOf(device) {
					return fmt.Errorf("network %q: the container has a device %s of its own with the number %s, and the kernel's has %s now: "+
						"take it out of the pod, or restart the plugin that gave it", one.Network, node.Path, numberOf(other), numberOf(device))
				}
				continue
			}
			if mount := covering(container.GetMounts(), node.Path); mount != nil {
				return fmt.Errorf("network %q: the container has a mount of its own at %q (from %q), where the device node %s is to be made: "+
					"take it out of the pod, the node comes without it", one.Network, mount.GetDestination(), mount.GetSource(), node.Path)
			}
			adjustment.AddDevice(device)
			have[node.Path] = device
		}
	}
	return nil
}

// deviceOf makes a node the container's user's own. Where the runtime does not tell who that is, whoever is in the
// container may open it.
func deviceOf(node dpdk.Node, user *api.User) *api.LinuxDevice {
	device := &api.LinuxDevice{
		Path: node.Path, Type: string(rune(node.Type)), Major: node.Major, Minor: node.Minor, FileMode: api.FileMode(os.FileMode(0o666)),
	}
	if user != nil {
		device.FileMode, device.Uid, device.Gid = api.FileMode(os.FileMode(0o600)), api.UInt32(user.GetUid()), api.UInt32(user.GetGid())
	}
	return device
}

func numberOf(device *api.LinuxDevice) string {
	return fmt.Sprintf("%s %d:%d", device.GetType(), device.GetMajor(), device.GetMinor())
}

// covering finds the mount that a path in the container lies in. A tmpfs is none: it is the runtime's own /dev, in which
// nodes and mount points are made. In any other the runtime would make the node where the mount comes from, which may be
// the host's /dev, or not at all.
func covering(mounts []*api.Mount, at string) *api.Mount {
	for _, mount := range mounts {
		if mount.GetType() != "tmpfs" && within(at, path.Clean(mount.GetDestination())) {
			return mount
		}
	}
	return nil
}

// within tells whether a path is the folder, or below it; both are clean.
func within(at, folder string) bool {
	return at == folder || strings.HasPrefix(at, strings.TrimSuffix(folder, "/")+"/")
}
