package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// faultsConfig is nodeConfig for four PFs, with an IPAM plugin.
const faultsConfig = `apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
networks:
  - name: public
    vlan: {id: 100}
    allow: [mac, ips]
  - name: leased
    ipam: {type: stalling}
providers:
  - {pf: pf0, traits: [CUSTOM_LEFT]}
  - {pf: pf1, traits: [CUSTOM_RIGHT]}
  - {pf: pf2, traits: [CUSTOM_THIRD]}
  - {pf: pf3, traits: [CUSTOM_FOURTH]}
`

// defaultPatience is containerd's own plugin_request_timeout.
const defaultPatience = 2 * time.Second

// noticeLimit is within how long an end must be noticed that nobody told.
const noticeLimit = 10 * time.Second

// TestFaults brings about what goes wrong on real nodes, on four PFs with 28 VFs: the rows of the fault matrix that need
// adapters, drivers and a runtime. After each nothing is lost and nothing unclean. With NRI_SRIOV_LAB_LONG all of them, else
// those that take a minute at most.
func TestFaults(t *testing.T) {
	t.Parallel()
	nics := []lab.NIC{{Name: "pf0", Wire: "wire"}, {Name: "pf1", Wire: "wire"}, {Name: "pf2", Wire: "wire"}, {Name: "pf3", Wire: "wire"}}
	all := bootWith(t, lab.Options{NICs: nics}, fragile).runtime(t, lab.ContainerdOptions{})
	for _, c := range []struct {
		name string
		test func(*subject)
		long bool
	}{
		{"RuntimeRestartedMidAttach", runtimeRestartedMidAttach, false}, {"EndsUntold", endsUntold, false},
		{"StalledWorker", stalledWorker, false}, {"All28AtOnce", all28AtOnce, true}, {"StalledIPAM", stalledIPAM, true},
		{"HiddenNamespace", hiddenNamespace, true}, {"DriverUnbound", driverUnbound, false}, {"LinkFlap", linkFlap, false},
		{"PFRemoved", pfRemoved, false}, {"ClockJump", clockJump, true},
	} {
		if c.long && !long() {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			s := &subject{bench: all.bench, T: t, config: faultsConfig, newVFs: c.name == "PFRemoved"}
			s.start()
			c.test(s)
		})
	}
}

// runtimeRestartedMidAttach: containerd is ended and killed while a VF is on its way into a pod. It is attached once.
func runtimeRestartedMidAttach(s *subject) {
	c := tally{rows: "3"}
	for i, end := range []func(context.Context) error{s.containerd.Restart, func(ctx context.Context) error {
		s.must(s.containerd.Kill(ctx))
		return s.containerd.Restart(ctx)
	}} {
		s.shell("rm -f %s", armed)
		s.restartWith("NRI_SRIOV_FAILPOINT=kernel:1:stall=6s", "NRI_SRIOV_FAILPOINT_ARM="+armed)
		s.shell("touch %s", armed)
		sandbox, err := s.pod(fmt.Sprint("pod", i), "public")
		s.must(err)
		s.said("failpoint: stalled")
		begun := time.Now()
		s.must(end(s.T.Context()))
		s.must(s.Daemon.Ready(s.T.Context()))
		container := s.container(sandbox, "app")
		c.converge = max(c.converge, time.Since(begun))
		c.without += s.bare("net1", container)
		c.injected++
		if attached := s.attachedTimes(sandbox); attached != 1 {
			s.T.Errorf("attached %d times", attached)
		}
	}
	s.restartWith()
	s.tell(c)
}

// attachedTimes counts how often the daemon, as it runs, has attached a VF to a sandbox.
func (s *subject) attachedTimes(sandbox string) int {
	s.T.Helper()
	count := 0
	for line := range strings.Lines(s.log()) {
		if strings.Contains(line, `msg="VF attached"`) && strings.Contains(line, sandbox) {
			count++
		}
	}
	return count
}

// endsUntold: the runtime does not tell of the end of sandboxes that are older than itself. It is noticed in time, be
// the runtime there or not.
func endsUntold(s *subject) {
	c := tally{rows: "18"}
	for range 3 {
		s.mustPod("old", "public")
	}
	s.must(s.containerd.Restart(s.T.Context()))
	s.must(s.Daemon.Ready(s.T.Context()))
	for _, id := range s.pods {
		s.must(s.cri.StopPod(s.T.Context(), id))
		c.injected++
		c.converge = max(c.converge, s.within(noticeLimit, func() error { return s.forgotten(id) }))
	}
	s.T.Logf("noticed by: %s", s.shell(`grep 'ended without a word' %s | grep -o 'noticed=.*' | cut -d' ' -f1-4 | sort | uniq -c`, s.Daemon.Process().Log()))
	if !strings.Contains(s.log(), "ended without a word of the runtime") {
		s.T.Error("no end was noticed: was the daemon told of it?")
	}
	s.tell(c)
}

// forgotten tells whether the daemon has nothing of a sandbox any more.
func (s *subject) forgotten(id string) error {
	pods, err := s.Pods(s.ctx())
	if err != nil {
		return err
	}
	for _, pod := range pods.Pods {
		if pod.Sandbox == id {
			return fmt.Errorf("sandbox %s holds %+v", id, pod.Attachments)
		}
	}
	return nil
}

// stall is how long a change takes in stalledWorker: more than any hook may, less than an attach may.
const stall = 25 * time.Second

// stalledWorker: one PF's driver takes half a minute for one change. No hook passes its budget, or the runtime would cut the
// plugin off; pods of other PFs go on, the end of a sandbox does not wait for the PF, and all converges.
func stalledWorker(s *subject) {
	c := tally{rows: "5,29", injected: 1}
	s.shell("rm -f %s", armed)
	s.restartWith("NRI_SRIOV_FAILPOINT=kernel:1:stall="+stall.String(), "NRI_SRIOV_FAILPOINT_ARM="+armed)
	s.shell("touch %s", armed)
	slow, err := s.pod("slow", `[{network: public, required: [CUSTOM_LEFT]}]`)
	s.must(err)
	s.said("failpoint: stalled")
	begun := time.Now()
	_, err = s.cri.StartIn(s.T.Context(), slow, "app")
	s.refused(err, "still at work: net1 attaching")
	_, beside := s.mustPod("beside", `[{network: public, required: [CUSTOM_RIGHT]}]`)
	if took := time.Since(begun); took > stall {
		s.T.Errorf("a pod of another PF took %s while one PF was stalled", took)
	}
	queued, err := s.pod("queued", `[{network: public, required: [CUSTOM_LEFT]}]`)
	s.must(err)
	ended, err := s.pod("ended", `[{network: public, required: [CUSTOM_LEFT]}]`)
	s.must(err)
	s.remove(ended)
	s.pods = s.pods[:3]
	containers := []string{beside, s.container(slow, "app"), s.container(queued, "app")}
	c.converge = time.Since(begun)
	c.without = s.bare("net1", containers...)
	s.stayedConnected(defaultPatience)
	s.restartWith()
	s.tell(c)
}

// stayedConnected checks that the runtime has never cut the daemon off, as it does with a plugin that answers too late, and
// that hooks which wait for nothing have waited for nothing, even on a slow machine. The gate keeps to its part of the
// runtime's patience.
func (s *subject) stayedConnected(patience time.Duration) {
	s.T.Helper()
	s.hooksWithin("1", "RunPodSandbox", "StopPodSandbox")
	answered := regexp.MustCompile(`hook=CreateContainer .*took=(\S+)`).FindAllStringSubmatch(s.log(), -1)
	for _, each := range answered {
		if took, err := time.ParseDuration(each[1]); err != nil || took > patience {
			s.T.Errorf("CreateContainer was answered after %s (%v); containerd waits for %s", each[1], err, patience)
		}
	}
	if len(answered) == 0 {
		s.T.Error("no CreateContainer was answered")
	}
	if made, lost := s.connections(); made != 1 || lost != 0 {
		s.T.Errorf("connected %d times, lost %d times", made, lost)
	}
}

// all28AtOnce: every VF of the node at once, then one pod that wants all VFs of a PF. On two emulated CPUs 28 runcs keep
// containerd itself from running for more than its default patience: it has cut the daemon off over answers that lay there
// for a second. So it has more of it here; what the daemon takes by its own clock is judged as ever.
func all28AtOnce(s *subject) {
	const patience = 20 * time.Second
	s.must(s.containerd.SetRequestTimeout(s.T.Context(), patience))
	defer func() {
		s.removeAll()
		s.must(s.containerd.SetRequestTimeout(s.ctx(), 0))
		s.must(s.Daemon.Ready(s.ctx()))
	}()
	s.restartWith()
	begun := time.Now()
	var all sync.WaitGroup
	var mutex sync.Mutex
	var containers []string
	for i := range 28 {
		all.Go(func() {
			id, err := s.cri.RunPod(s.T.Context(), lab.Pod{
				Name: fmt.Sprint("pod", i), Namespace: "prod", Annotations: map[string]string{"sriov.nri.io/networks": "public"},
			})
			container := ""
			if err == nil {
				container, err = s.tryContainer(id, "app")
			}
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil {
				s.T.Error(err)
			}
			if id != "" {
				s.pods = append(s.pods, id)
			}
			if container != "" {
				containers = append(containers, container)
			}
		})
	}
	all.Wait()
	c := tally{rows: "16", injected: 28, converge: time.Since(begun), without: s.bare("net1", containers...)}
	taken := map[string]bool{}
	pods, err := s.Pods(s.T.Context())
	s.must(err)
	for _, pod := range pods.Pods {
		for _, one := range pod.Attachments {
			taken[one.PCIAddress] = true
		}
	}
	if len(taken) != 28 || len(containers) != 28 {
		s.T.Errorf("%d containers have %d VFs", len(containers), len(taken))
	}
	s.removeAll()
	_, seven := s.mustPod("seven", `[{network: public, count: 7}]`)
	if networks := s.networks(seven); len(networks) != 7 {
		s.T.Errorf("%d of 7 VFs: %+v", len(networks), networks)
	}
	s.stayedConnected(patience)
	s.tell(c)
}

// stalledIPAM: an IPAM plugin takes longer than any budget. Its own pod waits, the others do not.
func stalledIPAM(s *subject) {
	const plugin = "/usr/lib/cni/stalling"
	s.must(s.WriteFile(s.T.Context(), plugin, 0o755, []byte(`#!/bin/sh
[ "$CNI_COMMAND" = ADD ] || exit 0
sleep 8
echo '{"cniVersion":"1.1.0","ips":[{"address":"192.0.2.50/24"}]}'
`)))
	c := tally{rows: "5", injected: 1}
	slow, err := s.pod("slow", "leased")
	s.must(err)
	begun := time.Now()
	_, err = s.cri.StartIn(s.T.Context(), slow, "app")
	s.refused(err, "still at work")
	_, beside := s.mustPod("beside", "public")
	container := s.container(slow, "app")
	c.converge, c.without = time.Since(begun), s.bare("net1", container, beside)
	if got := s.exec(container, "ip", "-o", "-4", "addr", "show", "net1"); !strings.Contains(got, "192.0.2.50/24") {
		s.T.Errorf("the pod's address: %s", got)
	}
	s.stayedConnected(defaultPatience)
	s.tell(c)
	s.shell("rm -f " + plugin)
}

// clockJump: the wall clock leaps forth and back while pods come and go.
func clockJump(s *subject) {
	c := tally{rows: "36"}
	begun := time.Now()
	for i, leap := range []string{"+36000", "-72000", "+36000"} {
		sandbox, err := s.pod(fmt.Sprint("pod", i), "public")
		s.must(err)
		s.shell("date -s @$(( $(date +%%s) %s ))", leap)
		c.injected++
		c.without += s.bare("net1", s.container(sandbox, "app"))
	}
	c.converge = time.Since(begun)
	s.attached(3)
	s.tell(c)
}
