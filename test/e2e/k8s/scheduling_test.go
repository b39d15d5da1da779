package k8s

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/cluster"
)

// testPlainPod: a pod that asks for nothing runs, its log can be read, and it is given nothing.
func testPlainPod(s *subject) {
	pod := cluster.Pod{Name: "plain", Node: s.node(0)}
	pod.Container.Command = []string{"sh", "-c", "echo here; exec sleep 3600"}
	s.create(pod)
	s.running(pod)
	if log, err := s.Do(s.ctx(), "logs", pod.Name); err != nil || log != "here\n" {
		s.Errorf("its log is %q, %v", log, err)
	}
	if text := s.inside(pod, "ls /sys/class/net; env"); strings.Contains(text, "net1") || strings.Contains(text, "SRIOV") {
		s.Errorf("it was given something:\n%s", text)
	}
}

// testAllocatable: each node has a resource for each network, with as many devices as VFs fit it.
func testAllocatable(s *subject) {
	for _, node := range s.nodes {
		if s.lab == nil {
			s.Logf("node %s has %d of public", node, s.free(node, "public"))
			continue
		}
		for network, want := range map[string]int{"public": many, "other": many, "fast": many, "scarce": scarce, "private": many + scarce} {
			s.allocatable(node, network, want)
		}
	}
}

// free is how many VFs of a network the scheduler counts on a node now.
func (s *subject) free(node, network string) int {
	s.Helper()
	count, err := s.Allocatable(s.ctx(), node, network)
	s.must(err)
	if count == 0 {
		s.Fatalf("node %s has no %s", node, cluster.Resource(network))
	}
	return count
}

// testKubeletsVF: what the kubelet says that it gave is what the pod has, whatever the order and the number.
func testKubeletsVF(s *subject) {
	one, two := cluster.WithVF("one", s.node(0), "public", "192.0.2.11"), cluster.WithVF("two", s.node(0), "other", "")
	three := cluster.Pod{
		Name: "three", Node: s.node(0), Devices: map[string]int{"public": 2, "scarce": 1},
		Annotations: map[string]string{cluster.Networks: "[{network: scarce}, {network: public, count: 2, name: data}]"},
	}
	s.create(one, two, three)
	s.running(one, two, three)
	n := s.labNode(s.node(0))
	seen := map[string]string{}
	for _, pod := range []cluster.Pod{one, two, three} {
		given, all := s.given(n, pod), s.has(pod)
		for network, count := range pod.Devices {
			has, want := all[network], given[cluster.Resource(network)]
			if len(want) != count || !slices.Equal(has, want) {
				s.Errorf("pod %s has %v of network %s; the kubelet gave it %v", pod.Name, has, network, want)
			}
			for _, address := range has {
				if other, taken := seen[address]; taken {
					s.Errorf("%s is with %s and %s", address, other, pod.Name)
				}
				seen[address] = pod.Name
			}
		}
	}
	s.inside(three, "cd /sys/class/net && ls data0 data1 net1")
	// What the kubelet gave under one name, it must not count under another.
	s.allocatable(s.node(0), "public", many-1)
	s.allocatable(s.node(0), "other", many-3)
	s.allocatable(s.node(0), "fast", many-4)
}

// testResourceAlone: without an annotation a pod gets an interface for each device, net1 and so on.
func testResourceAlone(s *subject) {
	pod := cluster.Pod{Name: "alone", Node: s.node(0), Devices: map[string]int{"public": 2}}
	s.create(pod)
	s.running(pod)
	var names []string
	for _, each := range s.attachments(pod) {
		names = append(names, each.Interface)
		s.inside(pod, "test $(cat /sys/class/net/"+each.Interface+"/address) = "+each.MAC)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"net1", "net2"}) {
		s.Errorf("its interfaces are %v", names)
	}
	s.addresses(pod, "public")
}

// testPing: pods on two nodes reach each other over their VFs when they are in the same VLAN, and only then.
func testPing(s *subject) {
	alpha, beta := cluster.WithVF("alpha", s.node(0), "public", "192.0.2.11"), cluster.WithVF("beta", s.node(1), "public", "192.0.2.12")
	gamma := cluster.WithVF("gamma", s.node(1), "other", "192.0.2.13")
	s.create(alpha, beta, gamma)
	s.running(alpha, beta, gamma)
	s.ping(alpha, "192.0.2.12")
	s.ping(beta, "192.0.2.11")
	s.silence(gamma, "192.0.2.11")
	s.silence(alpha, "192.0.2.13")
}

// testPending: the scheduler says what is missing, and starts the pod when one ends.
func testPending(s *subject) {
	node := s.node(0)
	var pods []cluster.Pod
	for i := range s.free(node, "scarce") {
		pods = append(pods, cluster.WithVF(fmt.Sprintf("has-%d", i), node, "scarce", ""))
	}
	s.create(pods...)
	s.running(pods...)
	waits := cluster.WithVF("waits", node, "scarce", "")
	s.create(waits)
	insufficient := "Insufficient " + cluster.Resource("scarce")
	_, err := s.AwaitPod(s.ctx(), time.Minute, "", waits.Name, func(state cluster.PodState) bool {
		return state.Status.Phase == "Pending" && state.Spec.NodeName == "" && slices.ContainsFunc(state.Status.Conditions, func(c cluster.Condition) bool {
			return c.Type == "PodScheduled" && c.Reason == "Unschedulable" && strings.Contains(c.Message, insufficient)
		})
	})
	s.must(err)
	text, err := s.Do(s.ctx(), "describe", "pod", waits.Name)
	s.must(err)
	if !strings.Contains(text, "FailedScheduling") || !strings.Contains(text, insufficient) {
		s.Errorf("kubectl describe does not say why it waits:\n%s", text)
	}
	s.remove(pods[0])
	s.running(waits)
	s.addresses(waits, "scarce")
}

// testAnnotationOnly: a VF that the scheduler did not count leaves its counts, of each network that it fits, and comes back.
func testAnnotationOnly(s *subject) {
	node := s.node(0)
	networks := []string{"public", "other", "fast"}
	before := map[string]int{}
	for _, network := range networks {
		before[network] = s.free(node, network)
	}
	pod := cluster.Pod{Name: "annotated", Node: node, Annotations: map[string]string{cluster.Networks: "public"}}
	s.create(pod)
	s.running(pod)
	s.addresses(pod, "public")
	for _, network := range networks {
		s.allocatable(node, network, before[network]-1)
	}
	s.remove(pod)
	for _, network := range networks {
		s.allocatable(node, network, before[network])
	}
}

// testTwoNetworksAtOnce: more pods of two networks in the same second than there are VFs for both. Each VF goes to one pod,
// every VF is used in the end, and who has none waits.
func testTwoNetworksAtOnce(s *subject) {
	node, total := s.node(0), s.free(s.node(0), "public")
	replicas := total/2 + 1
	var manifests []string
	for _, network := range []string{"public", "other"} {
		manifests = append(manifests, deployment("many-"+network, replicas, s.imaged(cluster.WithVF("", node, network, ""))))
	}
	s.Cleanup(func() {
		_, err := s.Do(s.ctx(), "delete", "deployment", "many-public", "many-other", "--cascade=foreground", "--timeout="+endLimit.String())
		s.check(err)
	})
	s.must(s.Apply(s.ctx(), manifests...))
	states := s.members(startLimit+time.Duration(total)*30*time.Second, total, "many-public", "many-other")
	owners := map[string]string{}
	for _, state := range states {
		pod := cluster.Pod{Name: state.Metadata.Name}
		has := s.attachments(pod)
		if len(has) != 1 {
			s.Errorf("%s has %d VFs: %v", pod.Name, len(has), has)
		}
		for _, each := range has {
			if other, taken := owners[each.PCIAddress]; taken {
				s.Errorf("%s is with %s and %s", each.PCIAddress, other, pod.Name)
			}
			owners[each.PCIAddress] = pod.Name
		}
	}
	if len(owners) != total {
		s.Errorf("%d VFs are used, of %d", len(owners), total)
	}
}

// members waits until so many pods of deployments are ready, and answers those. Of pods that the kubelet refused others are made.
func (s *subject) members(limit time.Duration, count int, deployments ...string) []cluster.PodState {
	s.Helper()
	var ready []cluster.PodState
	s.eventually(limit, func(ctx context.Context) error {
		var list struct{ Items []cluster.PodState }
		if err := s.JSON(ctx, &list, "get", "pods", "-l", "app in ("+strings.Join(deployments, ",")+")"); err != nil {
			return err
		}
		ready = nil
		var lines []string
		for _, state := range list.Items {
			lines = append(lines, state.String())
			if state.Ready() {
				ready = append(ready, state)
			}
		}
		if len(ready) != count {
			return fmt.Errorf("%d of %d pods run:\n%s", len(ready), count, strings.Join(lines, "\n"))
		}
		return nil
	})
	return ready
}

// deployment keeps so many pods.
func deployment(name string, replicas int, pod cluster.Pod) string {
	return workload("Deployment", name, replicas, pod)
}

// workload is a Deployment or a StatefulSet of pods with one label.
func workload(kind, name string, replicas int, pod cluster.Pod) string {
	text, err := json.Marshal(map[string]any{
		"apiVersion": "apps/v1", "kind": kind, "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"replicas": replicas, "selector": map[string]any{"matchLabels": map[string]string{"app": name}}, "template": pod.Template(name),
		},
	})
	if err != nil {
		panic(err) // maps, strings and numbers
	}
	return string(text)
}

// testStatefulSet: the replacement of the pod with the last VF gets that VF, once it is clean.
func testStatefulSet(s *subject) {
	node := s.node(0)
	var holders []cluster.Pod
	for i := range s.free(node, "scarce") - 1 {
		holders = append(holders, cluster.WithVF(fmt.Sprintf("holder-%d", i), node, "scarce", ""))
	}
	s.create(holders...)
	s.running(holders...)
	set := s.imaged(cluster.WithVF("", node, "scarce", ""))
	member := cluster.Pod{Name: "last-0"}
	s.Cleanup(func() {
		_, err := s.Do(s.ctx(), "delete", "statefulset", "last", "--cascade=foreground", "--timeout="+endLimit.String())
		s.check(err)
	})
	s.must(s.Apply(s.ctx(), workload("StatefulSet", "last", 1, set)))
	first := s.appears(member)
	had := s.addresses(member, "scarce")
	_, err := s.Do(s.ctx(), "delete", "pod", member.Name, "--wait=false")
	s.must(err)
	_, err = s.AwaitPod(s.ctx(), startLimit, "", member.Name, func(state cluster.PodState) bool {
		return state.Metadata.UID != first.Metadata.UID && state.Ready()
	})
	s.must(err)
	if has := s.addresses(member, "scarce"); !slices.Equal(has, had) {
		s.Errorf("the replacement has %v; the only free one was %v", has, had)
	}
}

// appears waits until a pod that somebody else makes is there and ready.
func (s *subject) appears(pod cluster.Pod) cluster.PodState {
	s.Helper()
	state, err := s.AwaitPod(s.ctx(), startLimit, pod.Namespace, pod.Name, cluster.PodState.Ready)
	s.must(err)
	return state
}

// testForce: pods that are forgotten by the API server at once leave VFs that are cleaned before others get them.
func testForce(s *subject) {
	node := s.node(0)
	var first, second []cluster.Pod
	for i := range s.free(node, "scarce") {
		first = append(first, cluster.WithVF(fmt.Sprintf("forced-%d", i), node, "scarce", ""))
		second = append(second, cluster.WithVF(fmt.Sprintf("after-%d", i), node, "scarce", ""))
	}
	s.create(first...)
	s.running(first...)
	for _, pod := range first {
		_, err := s.Do(s.ctx(), "delete", "pod", pod.Name, "--grace-period=0", "--force", "--wait=false")
		s.must(err)
	}
	s.create(second...)
	s.running(second...)
	has := map[string]bool{}
	for _, pod := range second {
		for _, address := range s.addresses(pod, "scarce") {
			has[address] = true
		}
	}
	if len(has) != len(second) {
		s.Errorf("%d pods have the VFs %v", len(second), has)
	}
}

// testDrain: a drained node gives all VFs back, and serves again when it is back.
func testDrain(s *subject) {
	node := s.node(0)
	one, two := cluster.WithVF("drained-1", node, "public", "192.0.2.11"), cluster.Pod{Name: "drained-2", Node: node, Annotations: map[string]string{cluster.Networks: "other"}}
	s.create(one, two)
	s.running(one, two)
	s.Cleanup(func() {
		_, err := s.Do(s.ctx(), "uncordon", node)
		s.check(err)
	})
	_, err := s.Do(s.ctx(), "drain", node, "--ignore-daemonsets", "--force", "--delete-emptydir-data", "--timeout="+endLimit.String())
	s.must(err)
	s.must(s.AwaitFree(s.ctx(), endLimit, node))
	back := cluster.WithVF("back", node, "public", "192.0.2.11")
	s.create(back)
	_, err = s.AwaitPod(s.ctx(), time.Minute, "", back.Name, func(state cluster.PodState) bool {
		return slices.ContainsFunc(state.Status.Conditions, func(c cluster.Condition) bool { return c.Reason == "Unschedulable" })
	})
	s.must(err)
	_, err = s.Do(s.ctx(), "uncordon", node)
	s.must(err)
	s.running(back)
	s.addresses(back, "public")
}
