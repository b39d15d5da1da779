package hooks

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
)

const (
	memlock = "RLIMIT_MEMLOCK"
	// unlimited is RLIM_INFINITY of sys/resource.h.
	unlimited = math.MaxUint64
)

// unlockMemory lets a container pin the memory that its device reads and writes: the kernel counts all of it.
func unlockMemory(adjustment *api.ContainerAdjustment, container *api.Container, mine []usable) error {
	if !slices.ContainsFunc(mine, func(one usable) bool { return isVFIO(one) || one.RDMA }) {
		return nil
	}
	for _, limit := range container.GetRlimits() {
		if limit.GetType() != memlock {
			continue
		}
		if limit.GetSoft() == unlimited && limit.GetHard() == unlimited {
			return nil
		}
		// NRI cannot replace a limit, and two of one type are an error in the OCI runtime specification.
		return fmt.Errorf("the container has %s soft %d, hard %d already, and needs it unlimited for its devices: "+
			"set it so, or not at all, in the runtime's default limits and in other NRI plugins", memlock, limit.GetSoft(), limit.GetHard())
	}
	adjustment.AddRlimit(memlock, unlimited, unlimited)
	return nil
}

// addHugepages mounts a folder of its own in a container with vfio devices that has brought no huge pages.
func addHugepages(adjustment *api.ContainerAdjustment, huge *attach.Hugepages, sandbox string, container *api.Container, mine []usable) error {
	if huge == nil || !slices.ContainsFunc(mine, isVFIO) || bringsHugepages(container, huge.Mount()) {
		return nil
	}
	if !idForm.MatchString(container.GetName()) {
		return fmt.Errorf("container name %q is not fit for a file name", container.GetName())
	}
	var owner *attach.Owner
	if user := container.GetUser(); user != nil {
		owner = &attach.Owner{UID: user.GetUid(), GID: user.GetGid()}
	}
	source, err := huge.Make(sandbox, container.GetName(), owner)
	if err != nil {
		return err
	}
	adjustment.AddMount(&api.Mount{
		Source: source, Destination: huge.Mount(), Type: "bind", Options: []string{"bind", "rw", "nosuid", "nodev"},
	})
	return nil
}

// bringsHugepages looks for a mount of huge pages. The kubelet's volumes of them look like any other empty-dir volume;
// what tells them apart is that the container may use huge pages.
func bringsHugepages(container *api.Container, mount string) bool {
	limited := slices.ContainsFunc(container.GetLinux().GetResources().GetHugepageLimits(), func(limit *api.HugepageLimit) bool {
		return limit.GetLimit() > 0
	})
	return covering(container.GetMounts(), mount) != nil || slices.ContainsFunc(container.GetMounts(), func(m *api.Mount) bool {
		return m.GetType() == "hugetlbfs" || within(path.Clean(m.GetDestination()), mount) ||
			limited && strings.Contains(m.GetSource(), "/kubernetes.io~empty-dir/")
	})
}
