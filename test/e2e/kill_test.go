package e2e

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/daemon"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// fragile is the program with failpoints, built once for all tests.
var fragile = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "nri-sriov-e2e-")
	if err != nil {
		return "", err
	}
	return daemon.Build(context.Background(), dir, "failpoints")
})

const (
	// armed is the file that lets the daemon count its steps.
	armed = "/run/failpoint"
	// maxSteps bounds the tests: no attach or release of one VF has as many.
	maxSteps = 60
	maxWait  = time.Minute
)

// TestKilledAtEachStep kills the daemon after each change that it makes of the kernel's state or of its files while it
// gives a VF to a pod, and while it takes it back: one run per step. After the restart the pod has its VF, and a pod that is
// gone has left nothing; the VF of another pod keeps its carrier all the time. This is done for VFs that pods drive
// themselves and for network interfaces; with NRI_SRIOV_LAB_LONG at all steps, else at every third, and also for VFs that
// rest in vfio-pci and are given out as network interfaces.
func TestKilledAtEachStep(t *testing.T) {
	t.Parallel()
	all := bootWith(t, lab.Options{}, fragile).runtime(t, lab.ContainerdOptions{})
	networks, stride := []string{"cold", "public"}, 3
	if long() {
		networks, stride = append(networks, "woken"), 1
	}
	for _, network := range networks {
		for _, way := range []string{"Attach", "Release"} {
			t.Run(network+way, func(t *testing.T) {
				s := &subject{bench: all.bench, T: t, config: dpdkConfig}
				s.startWarm()
				s.killedAtEach(network, way, stride)
			})
		}
	}
}

// killedAtEach goes through the steps, beside a pod that lives all the time.
func (s *subject) killedAtEach(network, way string, stride int) {
	s.T.Helper()
	c := tally{rows: map[string]string{"Attach": "1", "Release": "2"}[way]}
	sandbox, beside := s.mustPod("beside", `[{network: public, name: net9}]`)
	alone := s.before
	s.keep, s.pods, s.before = sandbox, nil, s.state()
	carrier := s.exec(beside, "cat", "/sys/class/net/net9/carrier_changes")
	last := 0
	for step := 1; step <= maxSteps && !s.T.Failed(); step += stride {
		took, died := s.killedAt(network, way, step)
		if !died {
			break
		}
		c.injected, last, c.converge = c.injected+1, step, max(c.converge, took)
		if now := s.exec(beside, "cat", "/sys/class/net/net9/carrier_changes"); now != carrier {
			s.T.Errorf("step %d: the other pod's carrier has changed: %s, then %s times", step, carrier, now)
		}
	}
	if last < 4 || last > maxSteps-stride {
		s.T.Errorf("the last step at which the daemon was killed is %d", last)
	}
	s.keep, s.pods, s.before = "", []string{sandbox}, alone
	s.tell(c)
}

// killedAt has the daemon killed at a step, and answers how long it took until all was well after the restart, and whether
// there was such a step.
func (s *subject) killedAt(network, way string, step int) (took time.Duration, died bool) {
	s.T.Helper()
	s.restartWith(fmt.Sprintf("NRI_SRIOV_FAILPOINT=any:%d", step), "NRI_SRIOV_FAILPOINT_ARM="+armed)
	if way == "Attach" {
		s.shell("touch " + armed)
	}
	sandbox, err := s.pod("pod", network)
	if err == nil && way == "Release" {
		s.container(sandbox, "app")
		s.shell("touch " + armed)
		s.removeAll()
	}
	died = s.settled(way)
	begun := time.Now()
	if died {
		s.restartWith()
	}
	s.shell("rm -f " + armed)
	if way == "Attach" {
		s.must(err)
		networks := s.networks(s.container(sandbox, "app"))
		if len(networks) != 1 || networks[0].MAC == "" {
			s.T.Errorf("step %d: the pod is told of %+v", step, networks)
		}
		took = time.Since(begun)
		s.removeAll()
	}
	s.clean()
	if s.T.Failed() {
		s.T.Logf("this was after step %d", step)
	}
	return cmp.Or(took, time.Since(begun)), died
}

// restartWith starts the daemon anew, with variables of failpoints.
func (s *subject) restartWith(env ...string) {
	s.T.Helper()
	if running, err := s.Daemon.Process().Running(s.ctx()); err == nil && running {
		s.must(s.Daemon.Kill(s.ctx()))
	}
	s.Daemon.Env = env
	s.must(s.Configure(s.ctx(), cmp.Or(s.config, nodeConfig)))
	s.must(s.Daemon.Start(s.ctx()))
	s.Daemon.Env = nil
}

// settled waits until the daemon has died, or has done all that was to be done.
func (s *subject) settled(way string) (died bool) {
	s.T.Helper()
	defer func() {
		if !died { // the last steps come after what can be seen
			time.Sleep(200 * time.Millisecond)
			running, err := s.Daemon.Process().Running(s.ctx())
			s.must(err)
			died = !running
		}
	}()
	s.must(lab.Eventually(s.ctx(), maxWait, func(ctx context.Context) error {
		running, err := s.Daemon.Process().Running(ctx)
		if err != nil {
			return err
		}
		if died = !running; died {
			return nil
		}
		pods, err := s.Pods(ctx)
		if err != nil {
			return err
		}
		states := ""
		for _, pod := range pods.Pods {
			if pod.Sandbox != s.keep {
				states += pod.Attachments[0].State
			}
		}
		if way == "Release" && states == "" || way == "Attach" && states == "attached" {
			return nil
		}
		return fmt.Errorf("not settled: %+v", pods)
	}))
	return died
}
