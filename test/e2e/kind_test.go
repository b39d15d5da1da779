package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// TestMovePF has the script of configs/kind move a real PF with its VFs into the namespaces of a process that sees what a node of
// kind sees: its own interfaces, and a sysfs that is mounted read-only. The program offers the VFs there, and can write what
// it has to; a PF whose VFs pods have stays, and all is home in the end as it was.
func TestMovePF(t *testing.T) {
	lab.Require(t)
	t.Parallel()
	b := boot(t, lab.Options{})
	s := &subject{bench: b, T: t}
	script, err := os.ReadFile("../../configs/kind/move-pf.sh")
	s.must(err)
	const place = "/usr/local/bin/move-pf.sh"
	s.must(b.WriteFile(t.Context(), place, 0o755, script))
	before := s.state()
	node, err := b.Guest.Start(t.Context(), "node", nil, "unshare", "--net", "--mount", "sh", "-c", "mount -t sysfs -o ro sysfs /sys && exec sleep 3600")
	s.must(err)
	inside := func(command string) string {
		return s.shell("nsenter --target %d --net --mount -- sh -c '%s'", node.PID(), command)
	}
	s.within(10*time.Second, func() error {
		_, err := b.Shell(s.ctx(), fmt.Sprintf("nsenter --target %d --mount -- grep -q ' /sys sysfs ro' /proc/mounts", node.PID()))
		return err
	})
	said := s.shell("%s into %d pf0", place, node.PID())
	if words := strings.Fields(said); len(words) != 3+1+lab.DefaultVFs {
		t.Errorf("it says %q", said)
	}
	if tree := inside("nri-sriov inventory"); strings.Count(tree, "igbvf free") != lab.DefaultVFs {
		t.Errorf("in the node there is\n%s", tree)
	}
	// What binding to another driver begins with.
	address := inside("basename $(readlink /sys/class/net/pf0/device/virtfn0)")
	inside("echo vfio-pci >/sys/bus/pci/devices/" + address + "/driver_override; echo >/sys/bus/pci/devices/" + address + "/driver_override")

	inside("ip netns add pod; ip link set pf0v3 netns pod")
	output, err := b.Shell(s.ctx(), fmt.Sprintf("%s back %d pf0 2>&1", place, node.PID()))
	if err == nil || !strings.Contains(fmt.Sprint(output.Stdout, err), "VFs of pf0 are with pods") {
		t.Errorf("a PF is taken away from pods: %s, %v", output.Stdout, err)
	}
	inside("ip -n pod link set pf0v3 netns 1; ip netns del pod")
	s.shell("ip link set pf0v3 netns %d", node.PID())
	s.shell("%s back %d pf0", place, node.PID())
	s.shell("ip link set pf0 up")
	s.must(lab.Eventually(s.ctx(), 20*time.Second, func(ctx context.Context) error {
		if now := s.state(); now != before {
			return fmt.Errorf("the VFs are not as before\n--- before\n%s\n--- now\n%s", before, now)
		}
		return nil
	}))
	_, err = node.Kill(s.ctx())
	s.must(err)
}
