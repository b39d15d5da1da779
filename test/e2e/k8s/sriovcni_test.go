package k8s

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/cluster"
)

// testSRIOVCNI: a VF that sriov-cni has given to a pod of its own is not counted and not touched, and is when it is back.
func testSRIOVCNI(s *subject) {
	n := s.labNode(s.node(0))
	// What that plugin leaves behind: a lock by the VF's PCI address, and the VF in the pod's namespace.
	output, err := n.Shell(s.ctx(), `
address=$(basename $(readlink /sys/class/net/pf1/device/virtfn0))
name=$(ls /sys/bus/pci/devices/$address/net)
ip netns add foreign
mkdir -p /var/lib/cni/sriov/pci
printf /run/netns/foreign > /var/lib/cni/sriov/pci/$address
ip link set $name netns foreign
echo $address $name`)
	s.must(err)
	fields := strings.Fields(output.Stdout)
	address, name := fields[0], fields[1]
	back := fmt.Sprintf("if ip netns list | grep -q foreign; then rm /var/lib/cni/sriov/pci/%s; ip -n foreign link set %s netns 1; ip netns del foreign; fi", address, name)
	s.Cleanup(func() {
		_, err := n.Shell(s.ctx(), back)
		s.check(err)
	})
	s.allocatable(n.Name, "scarce", scarce-1)
	s.eventually(time.Minute, func(ctx context.Context) error {
		vfs, err := s.VFs(ctx, n.Name)
		at := slices.IndexFunc(vfs, func(one cluster.VF) bool { return one.PCIAddress == address })
		if err == nil && (at < 0 || vfs[at].State != "excluded" || !strings.Contains(vfs[at].Reason, "sriov-cni")) {
			err = fmt.Errorf("the daemon does not know whose %s is: %+v", address, vfs)
		}
		return err
	})
	first, waits := cluster.WithVF("first", n.Name, "scarce", ""), cluster.WithVF("waits", n.Name, "scarce", "")
	s.create(first)
	s.running(first)
	s.create(waits)
	_, err = s.AwaitPod(s.ctx(), time.Minute, "", waits.Name, func(state cluster.PodState) bool {
		return slices.ContainsFunc(state.Status.Conditions, func(c cluster.Condition) bool { return c.Reason == "Unschedulable" })
	})
	s.must(err)
	if output, err := n.Shell(s.ctx(), "ip -n foreign link show "+name); err != nil {
		s.Errorf("the other plugin's VF is not where it was: %v %s", err, output.Stdout)
	}
	_, err = n.Shell(s.ctx(), back)
	s.must(err)
	s.running(waits)
	if has := s.addresses(waits, "scarce"); !slices.Equal(has, []string{address}) {
		s.Errorf("it has %v, and %s came free", has, address)
	}
}
