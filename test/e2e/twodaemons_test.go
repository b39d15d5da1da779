package e2e

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/daemon"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// twoDaemons: the second waits, says for whom, leaves when it is told to, and goes on when the first has ended. The first
// does not notice it.
func twoDaemons(s *subject) {
	c := tally{rows: "35", injected: 2}
	_, held := s.mustPod("held", "public")
	first := s.Daemon.Process()
	said := fmt.Sprintf("another nri-sriov is at work on this node (pid %d, for ", first.PID())
	beside, err := s.Daemon.Beside(s.T.Context())
	s.must(err)
	s.must(beside.Launch(s.T.Context()))
	s.said(said)
	s.lacks("") // the first answers
	s.mustPod("meanwhile", "public")
	if code, err := beside.Stop(s.T.Context()); err != nil || code != 0 {
		s.T.Errorf("the daemon that waits ends with %d, %v", code, err)
	}
	s.must(beside.Launch(s.T.Context()))
	s.said(said)
	begun := time.Now()
	s.must(first.Signal(s.T.Context(), syscall.SIGKILL))
	s.said("synchronised with the runtime")
	s.lacks("")
	s.attachedSoon(2)
	_, second := s.mustPod("second", "public")
	c.converge = time.Since(begun)
	c.without = s.bare("net1", held, second)
	_, err = first.Wait(context.WithoutCancel(s.T.Context()), time.Minute)
	s.must(err)
	code, err := beside.Stop(s.ctx())
	if err != nil || code != 0 {
		s.T.Errorf("the second daemon ends with %d, %v", code, err)
	}
	s.must(s.Daemon.Start(s.ctx()))
	s.tell(c)
}

// twoDaemonsPreinstalled: containerd starts the plugin itself, beside a daemon that runs. That one serves all pods, and the
// plugin serves them when it has ended.
func twoDaemonsPreinstalled(s *subject) {
	c := tally{rows: "35", injected: 1}
	_, held := s.mustPod("held", "public")
	s.shell("mkdir -p %s %s && ln -sf %s %s/10-nri-sriov", lab.NRIPlugins, lab.NRIConfigs, daemon.Binary, lab.NRIPlugins)
	s.must(s.WriteFile(s.T.Context(), lab.NRIConfigs+"/10-nri-sriov.conf", 0o644, []byte(nodeConfig)))
	s.must(s.containerd.Restart(s.T.Context()))
	s.must(s.Daemon.Ready(s.T.Context()))
	if count := s.shell("pgrep -c -f 'nri-sriov' || true"); count < "2" {
		s.T.Errorf("%s processes of nri-sriov", count)
	}
	_, first := s.mustPod("first", "public")
	if s.attachedTimes(s.pods[1]) != 1 {
		s.T.Error("the daemon that runs has not served the pod")
	}
	begun := time.Now()
	s.must(s.Daemon.Kill(s.T.Context()))
	s.within(time.Minute, func() error {
		_, err := s.Pods(s.T.Context())
		return err
	})
	_, second := s.mustPod("second", "public")
	s.attached(3)
	c.converge = time.Since(begun)
	s.shell("rm -f %[1]s/10-nri-sriov %[2]s/10-nri-sriov.conf", lab.NRIPlugins, lab.NRIConfigs)
	s.must(s.containerd.Restart(s.T.Context()))
	s.must(s.Daemon.Start(s.T.Context()))
	s.attached(3)
	c.without = s.bare("net1", held, first, second)
	s.tell(c)
}
