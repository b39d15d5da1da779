package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/bench/trace"
	"github.com/nri-sriov/nri-sriov/test/e2e/daemon"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// sweepEvery is how often the daemon looks for sandboxes that have ended without a word. It sleeps that long between.
const sweepEvery = 5 * time.Second

// TestCost holds the daemon to what an attach may cost, counted and not timed: one move, one message for all that the PF
// decides and none where the VF has it already, no list of VFs, no dump, no program, no wait for the disk, no connection,
// no sleep. strace watches every thread of the running daemon from before RunPodSandbox until CreateContainer has
// answered; the runtime is given the patience that this takes.
func TestCost(t *testing.T) {
	t.Parallel()
	s := boot(t, lab.Options{}).fresh(t, lab.ContainerdOptions{RequestTimeout: 20 * time.Second})
	s.probeSleeps()
	for _, test := range []struct {
		name, networks string
		want           trace.Cost
		// announced tells that neighbours are told of addresses, which sleeps, while nothing waits for it.
		announced bool
	}{
		{name: "vlan", networks: "public", want: trace.Cost{Moves: 1, Settings: 1}},
		{name: "plain", networks: "plain", want: trace.Cost{Moves: 1}},
		{
			name: "address", networks: `[{network: public, ips: ["192.0.2.10/24"]}]`, announced: true,
			want: trace.Cost{Moves: 1, Settings: 1, Addresses: 1},
		},
	} {
		calls, sleeps := s.watch(test.name, test.networks)
		cost, err := trace.Count(calls)
		s.must(err)
		if cost != test.want {
			s.T.Errorf("the attach of %q costs\n%+v, not\n%+v; it asked the kernel for\n%s", test.networks, cost, test.want, textOf(calls))
		}
		if len(sleeps) > 0 && !test.announced {
			s.T.Errorf("the attach of %q sleeps for %v", test.networks, sleeps)
		}
		s.removeAll()
		if _, err := s.AllFree(s.T.Context()); err != nil {
			s.T.Fatal(err)
		}
	}
}

// watch runs a sandbox and makes a container in it, and answers what the daemon asked of the kernel meanwhile, and for
// how long it slept.
func (s *subject) watch(name, networks string) ([]trace.Call, []time.Duration) {
	s.T.Helper()
	time.Sleep(3 * time.Second) // what a VF's way home has stirred up is read within two seconds
	file := "/var/log/cost-" + name + ".trace"
	argv := append([]string{"strace", "-o", file, "-p", fmt.Sprint(s.Daemon.Process().PID())}, trace.Options...)
	strace, err := s.Guest.Start(s.T.Context(), "strace-"+name, nil, argv...)
	s.must(err)
	s.must(lab.Eventually(s.T.Context(), time.Minute, func(ctx context.Context) error {
		said, err := s.Guest.ReadFile(ctx, strace.Log())
		if err == nil && !strings.Contains(string(said), " attached") {
			err = fmt.Errorf("strace says %q", said)
		}
		return err
	}))
	s.shell("echo > /sys/kernel/tracing/trace")
	begun := time.Now()
	sandbox, err := s.pod(name, networks)
	s.must(err)
	_, err = s.cri.CreateContainer(s.T.Context(), sandbox, lab.Container{Name: "app"})
	s.must(err)
	noted := s.shell("cat /sys/kernel/tracing/trace")
	took := time.Since(begun)
	_, err = strace.Stop(s.T.Context(), time.Minute) // strace ends by the signal that stops it; the daemon goes on
	s.must(err)
	text, err := s.Guest.ReadFile(s.T.Context(), file)
	s.must(err)
	calls, err := trace.Parse(string(text))
	s.must(err)
	sleeps, err := trace.Sleeps(noted, sweepEvery)
	s.must(err)
	s.T.Logf("%s: under strace, sandbox and container took %s, with %d calls that are looked at", name, took.Round(time.Millisecond), len(calls))
	return calls, sleeps
}

// probeSleeps has the guest's kernel note when the daemon sleeps, for the rest of the test.
func (s *subject) probeSleeps() {
	s.T.Helper()
	path, err := program()
	s.must(err)
	probes, err := trace.Probes(path, daemon.Binary)
	s.must(err)
	s.shell("mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing")
	for _, probe := range probes {
		s.shell("echo '%s' >> /sys/kernel/tracing/uprobe_events", probe)
	}
	s.shell("echo 1 > /sys/kernel/tracing/events/uprobes/enable")
	s.T.Cleanup(func() {
		s.shell("echo 0 > /sys/kernel/tracing/events/uprobes/enable; echo > /sys/kernel/tracing/uprobe_events")
	})
}

func textOf(calls []trace.Call) string {
	var text strings.Builder
	for _, call := range calls {
		fmt.Fprintln(&text, call.Text)
	}
	return text.String()
}
