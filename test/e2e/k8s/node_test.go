package k8s

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/cluster"
	"github.com/nri-sriov/nri-sriov/test/e2e/testpmd"
)

// testKubeletRestarted: the kubelet forgets every device plugin; ours registers again, what pods have stays theirs, and
// nobody gets it a second time.
func testKubeletRestarted(s *subject) {
	n := s.labNode(s.node(0))
	before := cluster.WithVF("before", n.Name, "public", "192.0.2.11")
	s.create(before)
	states := s.running(before)
	had := s.addresses(before, "public")
	s.must(n.StopKubelet(s.ctx()))
	s.must(n.StartKubelet(s.ctx()))
	// Until the plugin is back, the kubelet refuses pods that the scheduler sends in good faith.
	s.eventually(2*time.Minute, func(ctx context.Context) error {
		count, err := s.offered(ctx, n, "public")
		if err == nil && count != many {
			err = fmt.Errorf("the kubelet has %d of %s", count, cluster.Resource("public"))
		}
		return err
	})
	s.must(s.lab.AwaitReady(s.ctx(), n))
	var rest []cluster.Pod
	for i := range many - 1 {
		rest = append(rest, cluster.WithVF(fmt.Sprintf("after-%d", i), n.Name, "public", ""))
	}
	s.create(rest...)
	s.running(rest...)
	now := s.running(before)
	if was, is := states[0].Status.ContainerStatuses[0].ContainerID, now[0].Status.ContainerStatuses[0].ContainerID; was != is {
		s.Errorf("the container was %s and is %s", was, is)
	}
	if given := s.given(n, before)[cluster.Resource("public")]; !slices.Equal(given, had) {
		s.Errorf("the kubelet says %v, the pod has %v", given, had)
	}
	owners := map[string]string{had[0]: before.Name}
	for _, pod := range rest {
		for _, address := range s.addresses(pod, "public") {
			if other, taken := owners[address]; taken {
				s.Errorf("%s is with %s and %s", address, other, pod.Name)
			}
			owners[address] = pod.Name
		}
	}
}

// portUp waits until a DPDK pod has its VF's port up, which takes it longer than to run.
func (s *subject) portUp(pod cluster.Pod) {
	s.Helper()
	s.eventually(4*time.Minute, func(ctx context.Context) error {
		log, err := s.Do(ctx, "logs", pod.Name)
		if err != nil {
			return err
		}
		report, err := testpmd.Parse(log)
		if err == nil && (len(report.Ports) != 1 || report.Ports[0].Readings == 0) {
			err = fmt.Errorf("its port is not up:\n%s", log)
		}
		return err
	})
}

// testDPDK: a pod that drives its VF itself, as an ordinary user, answers one on the other node.
func testDPDK(s *subject) {
	drives := cluster.DPDKPod("drives", s.node(0), "fast")
	asks := cluster.WithVF("asks", s.node(1), "public", "192.0.2.11")
	s.create(drives, asks)
	s.running(drives, asks)
	s.addresses(drives, "fast")
	s.portUp(drives)
	if state, err := s.Pod(s.ctx(), "", drives.Name); err != nil || state.Status.ContainerStatuses[0].RestartCount != 0 {
		s.Errorf("%s, %v", state, err)
	}
	// testpmd answers for every address of its VLAN.
	s.ping(asks, "192.0.2.99")
}

// testAPIServerAway: for a minute there is no API server. A pod of the node's own starts with its VF, another one stops and
// gives its VF back; what happened is told afterwards.
func testAPIServerAway(s *subject) {
	s.withoutAPIServer(time.Minute, s.lab.StopAPIServer, func() error { return s.lab.StartAPIServer(s.ctx()) })
}

// testAPIServerFrozen: the same with an API server that takes connections and never answers.
func testAPIServerFrozen(s *subject) {
	s.withoutAPIServer(30*time.Second, s.lab.FreezeAPIServer, s.lab.ThawAPIServer)
}

// withoutAPIServer takes the API server away for a time at least, and gives it back.
func (s *subject) withoutAPIServer(least time.Duration, take, give func() error) {
	s.Helper()
	n := s.labNode(s.node(0))
	ends, starts := s.static("ends", "other"), s.static("starts", "public")
	file := func(pod cluster.Pod) string { return path.Join(cluster.StaticPods, pod.Name+".json") }
	mirror := func(pod cluster.Pod) cluster.Pod { return cluster.Pod{Name: pod.Name + "-" + n.Name} }
	back := sync.OnceValue(give)
	taken := false
	s.Cleanup(func() {
		if taken {
			s.check(back())
		}
		_, err := n.Run(s.ctx(), "rm", "-f", file(ends), file(starts))
		s.check(err)
		for _, pod := range []cluster.Pod{ends, starts} {
			s.check(s.AwaitGone(s.ctx(), endLimit, "", mirror(pod).Name))
		}
	})
	s.must(n.WriteFile(s.ctx(), file(ends), 0o644, []byte(ends.Manifest())))
	s.appears(mirror(ends))
	s.networkStatus(mirror(ends), 1)

	s.must(take())
	taken = true
	away := time.Now()
	s.must(n.WriteFile(s.ctx(), file(starts), 0o644, []byte(starts.Manifest())))
	_, err := n.Run(s.ctx(), "rm", file(ends))
	s.must(err)
	// kubectl sees nothing now; the node itself does.
	s.eventually(startLimit, func(ctx context.Context) error {
		output, err := n.Shell(ctx, `cat /run/nri-sriov/results/*/*.json 2>/dev/null || true`)
		if err != nil {
			return err
		}
		if count := strings.Count(output.Stdout, `"cniVersion"`); count != 1 {
			return fmt.Errorf("%d results, of which one is to start and one to end: %s", count, output.Stdout)
		}
		networks, err := s.networksOf(ctx, n)
		if err == nil && !slices.Equal(networks, []string{"public"}) {
			err = fmt.Errorf("pods of the node have VFs of %v", networks)
		}
		return err
	})
	s.Logf("one pod had started and one ended after %s without an API server", time.Since(away).Round(time.Second))
	time.Sleep(time.Until(away.Add(least)))
	s.must(back())
	s.appears(mirror(starts))
	list, text := s.networkStatus(mirror(starts), 1)
	if list[0].Name != ours+"public" {
		s.Error(text)
	}
	s.check(s.AwaitGone(s.ctx(), endLimit, "", mirror(ends).Name))
	s.must(s.lab.AwaitReady(s.ctx(), n))
}

// testAPIServerRefuses: without its rights the daemon tells nothing, pods start as before, and it is told when the rights are
// back.
func testAPIServerRefuses(s *subject) {
	text, err := s.Do(s.ctx(), "get", "clusterrolebinding", "nri-sriov", "-o", "json")
	s.must(err)
	back := sync.OnceValue(func() error { return s.Apply(s.ctx(), text) })
	s.Cleanup(func() { s.check(back()) })
	_, err = s.Do(s.ctx(), "delete", "clusterrolebinding", "nri-sriov")
	s.must(err)
	pod := cluster.WithVF("untold", s.node(0), "public", "192.0.2.11")
	s.create(pod)
	state := s.running(pod)[0]
	s.addresses(pod, "public")
	if said := state.Metadata.Annotations[cluster.NetworkStatus]; said != "" {
		s.Errorf("the daemon has the right to say %s", said)
	}
	s.must(back())
	s.networkStatus(pod, 1)
}

// networksOf asks a node itself which networks its running containers have VFs of.
func (s *subject) networksOf(ctx context.Context, n *cluster.Node) ([]string, error) {
	output, err := n.Shell(ctx, `for pid in $(pgrep -x sleep || true); do tr '\0' '\n' </proc/$pid/environ | grep -o 'PCIDEVICE_SRIOV_NRI_IO_[A-Z]*' || true; done`)
	if err != nil {
		return nil, err
	}
	var networks []string
	for name := range strings.Lines(output.Stdout) {
		networks = append(networks, strings.ToLower(strings.TrimPrefix(strings.TrimSpace(name), "PCIDEVICE_SRIOV_NRI_IO_")))
	}
	return networks, nil
}

// static is a pod that the kubelet finds in a file.
func (s *subject) static(name, network string) cluster.Pod {
	return s.imaged(cluster.Pod{Name: name, Annotations: map[string]string{cluster.Networks: network}})
}

// atStart has a pod write down which interfaces it has when it starts.
func atStart(pod cluster.Pod) cluster.Pod {
	pod.Container.Command = []string{"sh", "-c", "ls /sys/class/net >/tmp/at-start; exec sleep 100000"}
	return pod
}

// hadVF checks that a pod had its VF when it started, and not only later.
func (s *subject) hadVF(pod cluster.Pod) {
	s.Helper()
	if had := s.inside(pod, "cat /tmp/at-start"); !strings.Contains(had, "net1") {
		s.Errorf("pod %s started with the interfaces %q", pod.Name, strings.Fields(had))
	}
}

// testDaemonAway: with containerd's drop-in of configs/ no container starts while there is no daemon, and when there is one again,
// the pod has its VF from the beginning.
func testDaemonAway(s *subject) {
	selector := func(value string) error {
		_, err := s.Do(s.ctx(), "--namespace", cluster.Namespace, "patch", "daemonset", "nri-sriov", "--type=merge",
			"-p", `{"spec":{"template":{"spec":{"nodeSelector":{"example.com/none":`+value+`}}}}}`)
		return err
	}
	back := sync.OnceValue(func() error { return errors.Join(selector("null"), s.Rollout(s.ctx())) })
	s.Cleanup(func() { s.check(back()) })
	s.must(selector(`"none"`))
	s.eventually(endLimit, func(ctx context.Context) error {
		text, err := s.Do(ctx, "--namespace", cluster.Namespace, "get", "pods", "-o", "name")
		if err == nil && text != "" {
			err = fmt.Errorf("there are daemons: %s", text)
		}
		return err
	})
	pod := atStart(cluster.Pod{Name: "early", Node: s.node(0), Annotations: map[string]string{cluster.Networks: "public"}})
	s.create(pod)
	s.eventually(startLimit, func(ctx context.Context) error {
		events, err := s.Events(ctx, "", pod.Name)
		if text := strings.Join(events.Lines(), "\n"); err == nil && !strings.Contains(text, "required plugin") {
			err = fmt.Errorf("no Event says that containerd waits for the plugin:\n%s", text)
		}
		return err
	})
	if state, err := s.Pod(s.ctx(), "", pod.Name); err != nil || state.Ready() {
		s.Errorf("%s, %v", state, err)
	}
	s.must(back())
	s.running(pod)
	s.hadVF(pod)
	s.addresses(pod, "public")
}

// testTaint: a node whose runtime is away takes no new pods, and does when it is back; its pods keep what they have.
func testTaint(s *subject) {
	n := s.labNode(s.node(0))
	pod := cluster.WithVF("stays", n.Name, "public", "192.0.2.11")
	s.create(pod)
	s.running(pod)
	had := s.addresses(pod, "public")
	tainted := func(wanted bool) {
		s.eventually(2*time.Minute, func(ctx context.Context) error {
			text, err := s.Do(ctx, "get", "node", n.Name, "-o", "jsonpath={.spec.taints}")
			if err == nil && strings.Contains(text, "sriov.nri.io/not-ready") != wanted {
				err = fmt.Errorf("the node has the taints %s", text)
			}
			return err
		})
	}
	tainted(false)
	s.must(n.Containerd.Kill(s.ctx()))
	back := sync.OnceValue(func() error { return n.Containerd.Restart(s.ctx()) })
	s.Cleanup(func() { s.check(back()) })
	tainted(true)
	s.must(back())
	tainted(false)
	s.must(s.lab.AwaitReady(s.ctx(), n))
	s.running(pod)
	if has := s.addresses(pod, "public"); !slices.Equal(has, had) {
		s.Errorf("the pod had %v and has %v", had, has)
	}
}

// testUpgrade: every daemon is replaced under running pods. Not one frame of theirs is lost, a DPDK pod drives on, and pods that
// start meanwhile have their VFs when they start.
func testUpgrade(s *subject) {
	alpha, beta := cluster.WithVF("alpha", s.node(0), "public", "192.0.2.11"), cluster.WithVF("beta", s.node(1), "public", "192.0.2.12")
	s.create(alpha, beta)
	s.running(alpha, beta)
	s.ping(alpha, "192.0.2.12")
	had := s.addresses(alpha, "public")
	s.inside(alpha, "ping -q 192.0.2.12 >/tmp/pings 2>&1 & echo $! >/tmp/pid")
	drives := cluster.DPDKPod("drives", s.node(1), "fast")
	if s.lab != nil { // others may have no DPDK in their nodes
		// It answers for every address that is asked for from now on; those of alpha and beta are known.
		s.create(drives)
		s.running(drives)
		s.portUp(drives)
		s.ping(alpha, "192.0.2.99")
	}
	old, err := s.Daemon(s.ctx(), s.node(0))
	s.must(err)
	_, err = s.Do(s.ctx(), "--namespace", cluster.Namespace, "rollout", "restart", "daemonset/nri-sriov")
	s.must(err)
	// By deployments: a pod that the scheduler sends to a node in the moment in which no plugin serves it is refused by its
	// kubelet for good, as with any device plugin.
	meanwhile := []string{"meanwhile-0", "meanwhile-1"}
	s.Cleanup(func() {
		_, err := s.Do(s.ctx(), "delete", "deployment", meanwhile[0], meanwhile[1], "--cascade=foreground", "--timeout="+endLimit.String())
		s.check(err)
	})
	var manifests []string
	for i, name := range meanwhile {
		manifests = append(manifests, deployment(name, 1, s.imaged(atStart(cluster.WithVF("", s.node(i), "public", "")))))
	}
	s.must(s.Apply(s.ctx(), manifests...))
	s.must(s.Rollout(s.ctx()))
	if now, err := s.Daemon(s.ctx(), s.node(0)); err != nil || now == old {
		s.Errorf("the daemon was %s and is %s, %v", old, now, err)
	}
	s.answered(s.inside(alpha, "kill -INT $(cat /tmp/pid); sleep 1; cat /tmp/pings"))
	if s.lab != nil {
		s.ping(alpha, "192.0.2.99")
		if state := s.running(drives)[0]; state.Status.ContainerStatuses[0].RestartCount != 0 {
			s.Errorf("%s was started again", state)
		}
	}
	if has := s.addresses(alpha, "public"); !slices.Equal(has, had) {
		s.Errorf("the pod had %v and has %v", had, has)
	}
	for _, state := range s.members(startLimit, len(meanwhile), meanwhile...) {
		pod := cluster.Pod{Name: state.Metadata.Name}
		s.hadVF(pod)
		s.addresses(pod, "public")
	}
}

// answered checks the summary of a ping: every frame came back, but for the last one, which may have been on its way.
func (s *subject) answered(text string) {
	s.Helper()
	var sent, received int
	for line := range strings.Lines(text) {
		if _, err := fmt.Sscanf(line, "%d packets transmitted, %d packets received", &sent, &received); err == nil {
			break
		}
	}
	s.Logf("%d frames were sent and %d came back", sent, received)
	if sent < 5 || received < sent-1 {
		s.Errorf("%d frames were sent and %d came back:\n%s", sent, received, text)
	}
}

// testConfig: a changed ConfigMap reaches the nodes without a restart, and one that is not valid is refused whole.
func testConfig(s *subject) {
	pod := cluster.WithVF("keeps", s.node(0), "public", "192.0.2.11")
	s.create(pod)
	s.running(pod)
	had := s.addresses(pod, "public")
	s.Cleanup(func() {
		s.check(s.Configure(s.ctx(), config))
		for _, node := range s.nodes {
			s.check(s.AwaitAllocatable(s.ctx(), 3*time.Minute, node, "public", many))
		}
	})
	s.must(s.Configure(s.ctx(), strings.Replace(config, "hugepages:", "  - {name: added, required: [CUSTOM_SCARCE]}\nhugepages:", 1)))
	for _, node := range s.nodes {
		s.must(s.AwaitAllocatable(s.ctx(), 3*time.Minute, node, "added", scarce))
	}
	s.must(s.Configure(s.ctx(), config+"nosuchkey: 1\n"))
	s.eventually(3*time.Minute, func(ctx context.Context) error {
		events, err := s.Events(ctx, "", s.node(0))
		if err == nil && !strings.Contains(strings.Join(events.Lines(), "\n"), "nosuchkey") {
			err = fmt.Errorf("no Event of the node tells of it:\n%s", strings.Join(events.Lines(), "\n"))
		}
		return err
	})
	added := cluster.WithVF("added", s.node(0), "added", "")
	s.create(added)
	s.running(added)
	if has := s.addresses(pod, "public"); !slices.Equal(has, had) {
		s.Errorf("the pod had %v and has %v", had, has)
	}
}
