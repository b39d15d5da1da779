package k8s

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/cluster"
)

// testOtherPlugin: a network may be counted by a device plugin of somebody else's; the pod gets the VF that the kubelet gave
// under that name, and nobody else is given it meanwhile.
func testOtherPlugin(s *subject) {
	const resource, place = "example.com/vf", "/usr/local/bin/otherplugin"
	n := s.labNode(s.node(0))
	program := filepath.Join(s.TempDir(), "otherplugin")
	build := exec.CommandContext(s.ctx(), "go", "build", "-o", program, "./otherplugin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		s.Fatalf("%v\n%s", err, output)
	}
	s.must(n.CopyFile(s.ctx(), program, place))
	output, err := n.Shell(s.ctx(), "basename $(readlink /sys/class/net/pf1/device/virtfn1)")
	s.must(err)
	address := strings.TrimSpace(output.Stdout)
	process, err := n.Start(s.ctx(), "otherplugin", nil, place, resource, address)
	s.must(err)
	s.Cleanup(func() {
		_, err := process.Stop(s.ctx(), time.Minute)
		s.check(err)
	})
	s.eventually(time.Minute, func(ctx context.Context) error {
		text, err := s.Do(ctx, "get", "node", n.Name, "-o", `jsonpath={.status.allocatable.example\.com/vf}`)
		if err == nil && text != "1" {
			err = fmt.Errorf("the node has %q of %s", text, resource)
		}
		return err
	})
	pod := cluster.Pod{
		Name: "borrows", Node: n.Name, Resources: map[string]string{resource: "1"},
		Annotations: map[string]string{cluster.Networks: "borrowed"},
	}
	s.create(pod)
	s.running(pod)
	if given := s.given(n, pod)[resource]; !slices.Equal(given, []string{address}) {
		s.Errorf("the kubelet gave %v, not %s", given, address)
	}
	if has := s.addresses(pod, "borrowed"); !slices.Equal(has, []string{address}) {
		s.Errorf("the pod has %v, not %s", has, address)
	}
	// It was one of scarce.
	s.allocatable(n.Name, "scarce", scarce-1)
	s.remove(pod)
	s.allocatable(n.Name, "scarce", scarce)
}
