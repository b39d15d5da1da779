package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/daemon"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// TestRestart is what must hold when the daemon or the runtime go away and come back.
func TestRestart(t *testing.T) {
	t.Parallel()
	b := boot(t, lab.Options{})
	for name, test := range map[string]func(*subject){
		"BetweenSandboxAndContainer": betweenSandboxAndContainer, "WhilePodsRun": whilePodsRun,
		"PodsRemovedWhileAway": podsRemovedWhileAway, "PodsStartedWhileAway": podsStartedWhileAway,
		"ContainerdRestarted": containerdRestarted, "PodNamespaceVanishes": podNamespaceVanishes,
		"RefusedLeaveNothing": refusedLeaveNothing, "ContainerUnanswered": containerUnanswered,
	} {
		t.Run(name, func(t *testing.T) { test(b.fresh(t, lab.ContainerdOptions{})) })
	}
	t.Run("Preinstalled", func(t *testing.T) { preinstalled(t, b) })
	t.Run("RequiredPlugins", func(t *testing.T) { requiredPlugins(t, b) })
	t.Run("ConfigErrors", func(t *testing.T) { configErrors(t, b) })
}

func betweenSandboxAndContainer(s *subject) {
	sandbox, err := s.pod("first", "public")
	s.must(err)
	s.must(s.Daemon.Kill(s.T.Context()))
	s.must(s.Daemon.Start(s.T.Context()))
	begun := time.Now()
	container := s.container(sandbox, "app")
	if networks := s.networks(container); len(networks) != 1 {
		s.T.Errorf("networks.json: %+v", networks)
	}
	s.tell(tally{rows: "7", injected: 1, without: s.bare("net1", container), converge: time.Since(begun)})
}

// whilePodsRun: a restart and a kill leave running pods alone, down to the count of carrier changes.
func whilePodsRun(s *subject) {
	_, first := s.mustPod("first", `[{network: public, ips: ["192.0.2.10/24"], required: [CUSTOM_LEFT]}]`)
	_, second := s.mustPod("second", `[{network: public, ips: ["192.0.2.11/24"], required: [CUSTOM_RIGHT]}]`)
	s.pings(first, "192.0.2.11")
	carrier := s.exec(first, "cat", "/sys/class/net/net1/carrier_changes")
	if code, err := s.Daemon.Stop(s.T.Context()); err != nil || code != 0 {
		s.T.Errorf("the daemon ends with %d, %v", code, err)
	}
	s.must(s.Daemon.Start(s.T.Context()))
	s.must(s.Daemon.Kill(s.T.Context()))
	s.must(s.Daemon.Start(s.T.Context()))
	s.pings(second, "192.0.2.10")
	if now := s.exec(first, "cat", "/sys/class/net/net1/carrier_changes"); now != carrier {
		s.T.Errorf("the carrier changed: %s, then %s times", carrier, now)
	}
	s.attached(2)
}

// attached waits until so many attachments are there by the daemon's word.
func (s *subject) attached(count int) {
	s.T.Helper()
	s.must(lab.Eventually(s.T.Context(), time.Minute, func(ctx context.Context) error {
		pods, err := s.Pods(ctx)
		if err != nil {
			return err
		}
		attached := 0
		for _, pod := range pods.Pods {
			for _, one := range pod.Attachments {
				if one.State == "attached" {
					attached++
				}
			}
		}
		if attached != count {
			return fmt.Errorf("%d VFs are attached, wanted %d: %+v", attached, count, pods)
		}
		return nil
	}))
}

// podsRemovedWhileAway: kill -9 with pods running, the pods go, the daemon comes back: every VF is clean.
func podsRemovedWhileAway(s *subject) {
	for i := range 3 {
		s.mustPod(fmt.Sprint("pod", i), fmt.Sprintf(`[{network: public, mac: "02:00:00:00:00:1%d"}, {network: other}]`, i))
	}
	s.must(s.Daemon.Kill(s.T.Context()))
	tree, err := s.Inventory(s.T.Context())
	s.must(err)
	used := 0
	for _, provider := range tree.Providers {
		used += provider.Inventories["SRIOV_NET_VF"].Used
	}
	if used != 6 {
		s.T.Errorf("without the daemon the inventory shows %d VFs in use, not 6", used)
	}
	s.removeAll()
	s.must(s.Daemon.Start(s.T.Context()))
	s.clean()
}

// podsStartedWhileAway are attached late.
func podsStartedWhileAway(s *subject) {
	s.must(s.Daemon.Kill(s.T.Context()))
	_, container := s.mustPod("first", "public")
	if links := s.exec(container, "ls", "/sys/class/net"); strings.Contains(links, "net1") {
		s.T.Fatalf("interfaces before the daemon is there: %s", links)
	}
	s.must(s.Daemon.Start(s.T.Context()))
	s.attached(1)
	if links := s.exec(container, "ls", "/sys/class/net"); links != "eth0\nlo\nnet1" {
		s.T.Errorf("interfaces after the late attach: %q", links)
	}
	if metric := s.shell("busybox wget -q -O - http://127.0.0.1:9808/metrics | grep ^nri_sriov_late"); metric != "nri_sriov_late_attaches_total 1" {
		s.T.Errorf("the metric is %q", metric)
	}
	if !strings.Contains(s.log(), "pod has started while the daemon was away") {
		s.T.Error("the log does not tell of the late attach")
	}
	s.tell(tally{rows: "4", injected: 1})
}

// containerdRestarted: the daemon reconnects; sandboxes that are older than the restart are released although the
// runtime never tells of their end.
func containerdRestarted(s *subject) {
	_, container := s.mustPod("first", "public")
	s.must(s.containerd.Restart(s.T.Context()))
	s.must(s.Daemon.Ready(s.T.Context()))
	s.attached(1)
	if links := s.exec(container, "ls", "/sys/class/net"); links != "eth0\nlo\nnet1" {
		s.T.Errorf("interfaces after containerd's restart: %q", links)
	}
	s.removeAll()
	s.clean()
	s.mustPod("second", "public")
}

// refusedLeaveNothing: one pod is refused again and again, as the kubelet asks, and nothing of it is left that would keep
// containerd from starting again; then it is served.
func refusedLeaveNothing(s *subject) {
	for range 4 {
		s.refused(s.askFor("first", "none"), `nri-sriov: pod prod/first: network "none": the node does not define it`)
	}
	s.nothingRuns()
	s.must(s.containerd.Restart(s.T.Context()))
	s.must(s.Daemon.Ready(s.T.Context()))
	s.nothingRuns()
	sandbox, err := s.runPod(lab.Pod{Name: "first", Namespace: "prod", Annotations: map[string]string{"sriov.nri.io/networks": "public"}})
	s.must(err)
	s.container(sandbox, "app")
}

// nothingRuns checks that the runtime has no sandbox, by its own word, by its records and by its processes.
func (s *subject) nothingRuns() {
	s.T.Helper()
	pods, err := s.cri.ListPods(s.T.Context())
	s.must(err)
	if len(pods) != 0 {
		s.T.Errorf("%d sandboxes are listed: %v", len(pods), pods)
	}
	err = lab.Eventually(s.T.Context(), 30*time.Second, func(ctx context.Context) error { // a shim ends a moment later
		output, err := s.Guest.Shell(ctx, "ctr -n k8s.io containers ls -q; ctr -n k8s.io tasks ls -q; pgrep -xa containerd-shim || true; ls /run/netns || true")
		if left := strings.TrimSpace(output.Stdout); err == nil && left != "" {
			err = fmt.Errorf("of refused pods is left:\n%s", left)
		}
		return err
	})
	if err != nil {
		s.T.Error(err)
	}
}

// containerUnanswered: containerd goes on without a daemon that does not answer. The container that it creates like this does
// not start once the daemon is back, and the one after it has everything; of one that has started before, the daemon tells.
func containerUnanswered(s *subject) {
	sandbox, err := s.pod("first", "public")
	s.must(err)
	s.attached(1)
	thaw := func() { s.must(s.Process().Signal(s.ctx(), syscall.SIGCONT)) }
	s.T.Cleanup(thaw)
	s.must(s.Process().Signal(s.T.Context(), syscall.SIGSTOP))
	unanswered, err := s.cri.CreateContainer(s.T.Context(), sandbox, lab.Container{Name: "app"})
	s.must(err)
	begun := time.Now()
	thaw()
	s.asked()
	s.refused(s.cri.StartContainer(s.T.Context(), unanswered),
		"nri-sriov: pod prod/first: container app: it was created while nri-sriov did not answer, so without its devices and /run/nri-sriov/networks.json: ")
	s.must(s.cri.RemoveContainer(s.T.Context(), unanswered))
	container := s.container(sandbox, "app")
	if networks := s.networks(container); len(networks) != 1 {
		s.T.Errorf("networks.json: %+v", networks)
	}
	took := time.Since(begun)

	const runs = "container runs without its devices"
	if strings.Contains(s.log(), runs) {
		s.T.Errorf("the log says too early: %s", runs)
	}
	s.must(s.Process().Signal(s.T.Context(), syscall.SIGSTOP))
	_, err = s.cri.StartIn(s.T.Context(), sandbox, "sidecar")
	s.must(err)
	thaw()
	s.asked()
	if !strings.Contains(s.log(), runs) {
		s.T.Errorf("the log does not say: %s", runs)
	}
	s.attached(1)
	s.tell(tally{rows: "7", injected: 2, without: s.bare("net1", container), converge: took})
}

// asked waits until containerd asks the daemon: it does only some time after the daemon has its list.
func (s *subject) asked() {
	s.T.Helper()
	s.within(time.Minute, func() error {
		if s.askFor("nonsense", "none") == nil {
			return errors.New("containerd does not ask the daemon")
		}
		return nil
	})
}

// podNamespaceVanishes: somebody takes the namespace away behind the runtime's back; the kernel sends the VF home.
func podNamespaceVanishes(s *subject) {
	sandbox, _ := s.mustPod("first", `[{network: public, mac: "02:00:00:00:00:11"}]`)
	status, err := s.cri.PodStatus(s.T.Context(), sandbox)
	s.must(err)
	s.shell("kill -KILL $(ip netns pids %[1]s); ip netns del %[1]s", netnsName(status.NetNS))
	begun := time.Now()
	s.clean()
	s.tell(tally{rows: "9,11", injected: 1, converge: time.Since(begun)})
}

// preinstalled: containerd starts the plugin itself, with its config from conf.d.
func preinstalled(t *testing.T, b *bench) {
	s := &subject{bench: b, T: t}
	s.must(s.Configure(t.Context(), ""))
	s.shell("mkdir -p %s %s && ln -sf %s %s/10-nri-sriov", lab.NRIPlugins, lab.NRIConfigs, daemon.Binary, lab.NRIPlugins)
	s.must(b.WriteFile(t.Context(), lab.NRIConfigs+"/10-nri-sriov.conf", 0o644, []byte(nodeConfig)))
	t.Cleanup(func() { s.shell("rm -f %s/10-nri-sriov %s/10-nri-sriov.conf", lab.NRIPlugins, lab.NRIConfigs) })
	s.shell("rm -rf /var/lib/nri-sriov /run/nri-sriov")
	s.before = s.state()
	before := s.before
	s = b.runtime(t, lab.ContainerdOptions{})
	s.before = before
	s.must(s.Daemon.Ready(t.Context()))
	_, container := s.mustPod("first", "public")
	if networks := s.networks(container); len(networks) != 1 || networks[0].VLAN.ID != 100 {
		t.Errorf("networks.json: %+v", networks)
	}
	s.must(s.containerd.Restart(t.Context()))
	s.must(s.Daemon.Ready(t.Context()))
	s.attached(1)
	s.mustPod("second", "public")
	s.removeAll()
	s.clean()
}

// requiredPlugins: with the drop-in of configs/, containerd holds containers back while the daemon is away, from 2.2 on;
// before, they start, and get their VFs late.
func requiredPlugins(t *testing.T, b *bench) {
	file, says := "nri-sriov.toml", "no container starts while nri-sriov is away"
	if !b.ContainerdVersion().AtLeast(2, 0) {
		file, says = "nri-sriov-1.7.toml", "mend: containerd 2.2 and later only"
	}
	drop, err := os.ReadFile("../../configs/containerd/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.WriteFile(t.Context(), "/etc/containerd/conf.d/nri-sriov.toml", 0o644, drop); err != nil {
		t.Fatal(err)
	}
	s := b.fresh(t, lab.ContainerdOptions{Imports: []string{"/etc/containerd/conf.d/*.toml"}})
	output, err := s.CLI(t.Context(), "check", "--containerd-config", s.containerd.ConfigFile())
	if err != nil || !strings.Contains(output.Stdout, says) {
		t.Errorf("check says %v\n%s", err, output.Stdout)
	}
	s.must(s.Daemon.Kill(t.Context()))
	sandbox, err := s.pod("first", "public")
	s.must(err)
	_, err = s.cri.StartIn(t.Context(), sandbox, "app")
	if !b.ContainerdVersion().AtLeast(2, 2) {
		s.must(err)
		s.must(s.Daemon.Start(t.Context()))
		s.attached(1)
		return
	}
	s.refused(err, "nri-sriov")
	s.must(s.Daemon.Start(t.Context()))
	container := s.container(sandbox, "again")
	if networks := s.networks(container); len(networks) != 1 {
		t.Errorf("networks.json: %+v", networks)
	}
}

// configErrors: an invalid config ends the daemon with 1, naming file, line and key.
func configErrors(t *testing.T, b *bench) {
	s := &subject{bench: b, T: t}
	for text, sentence := range map[string]string{
		"apiVersion: sriov.nri.io/v1alpha1\nkind: NodeConfig\nnetworks:\n- name: a\n  vlna: {id: 1}\n":                            "/etc/nri-sriov/config.yaml:5: ",
		"apiVersion: sriov.nri.io/v1alpha1\nkind: NodeConfig\nnetworks:\n- name: a\n  vlan: {id: 5000}\n":                         "networks[0].vlan.id: 5000",
		"apiVersion: sriov.nri.io/v1alpha1\nkind: NodeConfig\nnetworks:\n- name: a\n  resourceName: a\n":                          "is not the name of a resource",
		"apiVersion: sriov.nri.io/v1alpha1\nkind: NodeConfig\nproviders: [{pf: pf0, numVFs: 9}]\nnetworks:\n- name: a\n  rdma: 1": "config.yaml:6: networks[0].rdma",
	} {
		s.must(s.Configure(t.Context(), text))
		s.must(s.Daemon.Launch(t.Context()))
		code, err := s.Process().Wait(t.Context(), time.Minute)
		s.must(err)
		log, err := b.ReadFile(t.Context(), s.Process().Log())
		s.must(err)
		if lines := strings.Split(strings.TrimSpace(string(log)), "\n"); code != 1 || !strings.Contains(lines[len(lines)-1], sentence) {
			t.Errorf("the daemon ends with %d and\n%s\nwithout\n%s", code, lines[len(lines)-1], sentence)
		}
		output, err := s.CLI(t.Context(), "check")
		if err == nil || !strings.Contains(output.Stdout, sentence) {
			t.Errorf("check says %v\n%s", err, output.Stdout)
		}
	}
	s.must(s.Configure(t.Context(), nodeConfig))
}
