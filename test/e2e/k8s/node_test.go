package k8s

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/cluster"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
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

// testDPDK: a pod that drives its VF itself, as an ordinary user, answers one on the other node.
func testDPDK(s *subject) {
	drives := cluster.DPDKPod("drives", s.node(0), "fast")
	asks := cluster.WithVF("asks", s.node(1), "public", "192.0.2.11")
	s.create(drives, asks)
	s.running(drives, asks)
	s.addresses(drives, "fast")
	var report testpmd.Report
	s.eventually(2*time.Minute, func(ctx context.Context) error {
		log, err := s.Do(ctx, "logs", drives.Name)
		if err != nil {
			return err
		}
		if report, err = testpmd.Parse(log); err == nil && (len(report.Ports) != 1 || report.Ports[0].Readings == 0) {
			err = fmt.Errorf("its port is not up:\n%s", log)
		}
		return err
	})
	if state, err := s.Pod(s.ctx(), "", drives.Name); err != nil || state.Status.ContainerStatuses[0].RestartCount != 0 {
		s.Errorf("%s, %v", state, err)
	}
	// testpmd answers for every address of its VLAN.
	s.ping(asks, "192.0.2.99")
}

// testAPIServerAway: for a minute there is no API server. A pod of the node's own starts with its VF, another one stops and
// gives its VF back; what happened is told afterwards.
func testAPIServerAway(s *subject) {
	n := s.labNode(s.node(0))
	ends, starts := s.static("ends", "other"), s.static("starts", "public")
	file := func(pod cluster.Pod) string { return path.Join(cluster.StaticPods, pod.Name+".json") }
	mirror := func(pod cluster.Pod) cluster.Pod { return cluster.Pod{Name: pod.Name + "-" + n.Name} }
	s.Cleanup(func() {
		_, err := n.Run(s.ctx(), "rm", "-f", file(ends), file(starts))
		s.check(err)
		for _, pod := range []cluster.Pod{ends, starts} {
			s.check(s.AwaitGone(s.ctx(), endLimit, "", mirror(pod).Name))
		}
	})
	s.must(n.WriteFile(s.ctx(), file(ends), 0o644, []byte(ends.Manifest())))
	s.appears(mirror(ends))
	s.networkStatus(mirror(ends), 1)

	s.must(s.lab.StopAPIServer())
	away := time.Now()
	s.must(n.WriteFile(s.ctx(), file(starts), 0o644, []byte(starts.Manifest())))
	_, err := n.Run(s.ctx(), "rm", file(ends))
	s.must(err)
	// kubectl sees nothing now; the node itself does.
	s.eventually(startLimit, func(ctx context.Context) error {
		output, err := n.Shell(ctx, `cat /run/nri-sriov/results/*/*.json 2>/dev/null || true; ctr -n k8s.io containers ls -q | wc -l`)
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
	time.Sleep(time.Until(away.Add(time.Minute)))
	s.must(s.lab.StartAPIServer(s.ctx()))
	s.appears(mirror(starts))
	list, text := s.networkStatus(mirror(starts), 1)
	if list[0].Name != ours+"public" {
		s.Error(text)
	}
	s.check(s.AwaitGone(s.ctx(), endLimit, "", mirror(ends).Name))
	s.must(s.lab.AwaitReady(s.ctx(), n))
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

// testUpgrade: every daemon is replaced under running pods; not one frame of theirs is lost.
func testUpgrade(s *subject) {
	alpha, beta := cluster.WithVF("alpha", s.node(0), "public", "192.0.2.11"), cluster.WithVF("beta", s.node(1), "public", "192.0.2.12")
	s.create(alpha, beta)
	s.running(alpha, beta)
	s.ping(alpha, "192.0.2.12")
	had := s.addresses(alpha, "public")
	s.inside(alpha, `ping -q 192.0.2.12 >/tmp/pings 2>&1 & echo $! >/tmp/pid`)
	old, err := s.Daemon(s.ctx(), s.node(0))
	s.must(err)
	s.must(s.Upgrade(s.ctx()))
	if now, err := s.Daemon(s.ctx(), s.node(0)); err != nil || now == old {
		s.Errorf("the daemon was %s and is %s, %v", old, now, err)
	}
	text := s.inside(alpha, `kill -INT $(cat /tmp/pid); sleep 1; cat /tmp/pings`)
	var sent, received int
	for line := range strings.Lines(text) {
		if _, err := fmt.Sscanf(line, "%d packets transmitted, %d packets received", &sent, &received); err == nil {
			break
		}
	}
	s.Logf("%d frames were sent and %d came back", sent, received)
	// The last one may have been on its way.
	if sent < 5 || received < sent-1 {
		s.Errorf("%d frames were sent and %d came back:\n%s", sent, received, text)
	}
	if has := s.addresses(alpha, "public"); !slices.Equal(has, had) {
		s.Errorf("the pod had %v and has %v", had, has)
	}
	later := cluster.WithVF("later", s.node(0), "public", "192.0.2.13")
	s.create(later)
	s.running(later)
	s.ping(later, "192.0.2.12")
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

// testAdmission: the API server itself refuses what no node could serve, before it is scheduled.
func testAdmission(s *subject) {
	// The daemon makes what the policy needs to know, from the config.
	params, err := s.CLI(s.ctx(), s.node(0), "networks", "/etc/nri-sriov/config.yaml")
	s.must(err)
	s.must(s.Apply(s.ctx(), params))
	s.Cleanup(func() {
		_, err := s.Do(s.ctx(), "--namespace", cluster.Namespace, "delete", "configmap", "nri-sriov-networks", "--ignore-not-found")
		s.check(err)
		_, err = s.Do(s.ctx(), "delete", "namespace", "team-a", "--ignore-not-found", "--wait=false")
		s.check(err)
	})
	_, err = s.Do(s.ctx(), "create", "namespace", "team-a")
	s.must(err)
	asks := func(namespace, text string) error {
		pod := s.imaged(cluster.Pod{Name: "asks", Namespace: namespace, Annotations: map[string]string{cluster.Networks: text}})
		_, err := s.Feed(s.ctx(), pod.Manifest(), "create", "--dry-run=server", "-f", "-")
		return err
	}
	// The API server learns of the ConfigMap a little later.
	s.eventually(time.Minute, func(context.Context) error {
		if asks("default", "nosuch") == nil {
			return errors.New("a network that no node has is admitted")
		}
		return nil
	})
	for _, each := range []struct{ namespace, text, refusal string }{
		{"default", "public@eth1, other", ""},
		{"default", `[{network: public, ips: ["192.0.2.10/24"]}]`, ""},
		{"team-a", "private", ""},
		{"default", "private", "may not use private"},
		{"default", "- network: private\n", "may not use private"},
		{"default", "nosuch", "may not use nosuch"},
		{"default", "", "is empty"},
		{"default", "public@" + strings.Repeat("x", 16), "malformed"},
		{"default", strings.Repeat("public,", 3000) + "public", "16 KiB"},
	} {
		err := asks(each.namespace, each.text)
		exit := (*cluster.ExitError)(nil)
		switch {
		case each.refusal == "" && err != nil:
			s.Errorf("%.40q in namespace %s: %v", each.text, each.namespace, err)
		case each.refusal != "" && (!errors.As(err, &exit) || !strings.Contains(exit.Stderr, each.refusal) || !strings.Contains(exit.Stderr, "ValidatingAdmissionPolicy")):
			s.Errorf("%.40q in namespace %s is not refused with %q: %v", each.text, each.namespace, each.refusal, err)
		}
	}
	// It is about pods that ask; nobody else waits for it.
	plain := s.imaged(cluster.Pod{Name: "plain", Container: lab.Container{Name: "c"}})
	_, err = s.Feed(s.ctx(), plain.Manifest(), "create", "--dry-run=server", "-f", "-")
	s.check(err)
}
