package bench

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/bench/protocol"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// burstPods is all that four emulated NICs serve, one VF each.
const burstPods = 28

// burstRounds are for the rate of attaching; more of them tell little more.
const burstRounds = 3

// burstConfig offers every VF.
var burstConfig = fmt.Sprintf(`apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
networks:
  - name: bench
    vlan: {id: %d}
    allow: [ips]
`, protocol.VLAN)

// burstTimes are those of many pods at once.
type burstTimes struct {
	// plain and asking are from the first call to the last container running.
	plain, asking time.Duration
	// hooks are what the daemon's hooks took meanwhile.
	run, stop []time.Duration
	// resident is the daemon's memory with all pods there, in MB.
	resident float64
	// kernel and daemon are what it takes to give all VFs to namespaces that are there: one after the other by the bare
	// messages, and by a daemon that has found all pods at once.
	kernel, daemon []time.Duration
}

// burst measures many pods at once.
func (m *machine) burst(ctx context.Context, to io.Writer) (b burstTimes, err error) {
	if err := m.reconfigure(ctx, burstConfig, "debug"); err != nil {
		return b, err
	}
	vfs, err := m.guest.Shell(ctx, "for vf in /sys/class/net/pf?/device/virtfn*; do basename $(readlink $vf); done")
	if err != nil {
		return b, err
	}
	addresses := strings.Fields(vfs.Stdout)
	if len(addresses) != burstPods {
		return b, fmt.Errorf("the guest has %d VFs, not %d", len(addresses), burstPods)
	}
	var sandboxes []string
	if sandboxes, b.plain, err = m.podsAtOnce(ctx, false); err == nil {
		fmt.Fprintf(to, "%d pods at once, without VFs: %.1f s\n", burstPods, b.plain.Seconds())
		err = m.removePods(ctx, sandboxes)
	}
	if err != nil {
		return b, err
	}
	before, err := m.log(ctx, 0)
	if err != nil {
		return b, err
	}
	if sandboxes, b.asking, err = m.podsAtOnce(ctx, true); err != nil {
		return b, err
	}
	fmt.Fprintf(to, "%d pods at once, with VFs: %.1f s\n", burstPods, b.asking.Seconds())
	if b.resident, err = m.resident(ctx); err != nil {
		return b, err
	}
	if err := m.rates(ctx, to, &b, addresses, sandboxes); err != nil {
		return b, err
	}
	if err := m.removePods(ctx, sandboxes); err != nil {
		return b, err
	}
	log, err := m.log(ctx, len(before))
	if err == nil {
		b.run, err = hooksIn(log, "RunPodSandbox")
	}
	if err == nil {
		b.stop, err = hooksIn(log, "StopPodSandbox")
	}
	return b, err
}

// podsAtOnce starts pods with a container each, all at once.
func (m *machine) podsAtOnce(ctx context.Context, ask bool) ([]string, time.Duration, error) {
	pods := make([]lab.Pod, burstPods)
	for i := range pods {
		networks := ""
		if ask {
			networks = fmt.Sprintf(`[{network: bench, name: %s, ips: ["192.0.2.%d/24"]}]`, protocol.Interface, 10+i)
		}
		pods[i] = m.podFor(networks)
	}
	begun := time.Now()
	sandboxes, err := atOnce(len(pods), func(i int) (string, error) {
		sandbox, err := m.containerd.CRI().RunPod(ctx, pods[i])
		if err != nil {
			return "", err
		}
		container, err := m.createIn(ctx, sandbox)
		if err != nil {
			return "", err
		}
		return sandbox, m.containerd.CRI().StartContainer(ctx, container)
	})
	return sandboxes, time.Since(begun), err
}

// removePods stops and removes pods, all at once, and waits until every VF is free.
func (m *machine) removePods(ctx context.Context, sandboxes []string) error {
	_, err := atOnce(len(sandboxes), func(i int) (string, error) {
		if err := m.containerd.CRI().StopPod(ctx, sandboxes[i]); err != nil {
			return "", err
		}
		return "", m.containerd.CRI().RemovePod(ctx, sandboxes[i])
	})
	if err == nil {
		_, err = m.daemon.AllFree(ctx)
	}
	return err
}

// atOnce does something so many times at once, and answers what came out or the first error.
func atOnce(count int, do func(i int) (string, error)) ([]string, error) {
	answers, errs := make([]string, count), make([]error, count)
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() { answers[i], errs[i] = do(i) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// rates has the kernel's messages and the daemon give all VFs away, in turns. The sandboxes are there all the time. The
// daemon is started when they have nothing, so that it finds all of them at once, and no work of the runtime is in its time.
// At the end the sandboxes have their VFs.
func (m *machine) rates(ctx context.Context, to io.Writer, b *burstTimes, addresses, sandboxes []string) error {
	for round := range burstRounds + 1 {
		if _, err := m.guest.Shell(ctx, fmt.Sprintf("for sandbox in %s; do nri-sriov release $sandbox; done", strings.Join(sandboxes, " "))); err != nil {
			return err
		}
		if _, err := m.daemon.AllFree(ctx); err != nil {
			return err
		}
		if code, err := m.daemon.Stop(ctx); err != nil || code != 0 {
			return fmt.Errorf("the daemon ends with %d: %w", code, err)
		}
		time.Sleep(protocol.Hold)
		kernel, err := m.runInside(ctx, append([]string{"serial"}, addresses...)...)
		if err != nil {
			return err
		}
		time.Sleep(2 * protocol.Hold) // the namespaces are taken down
		daemon, err := m.attachAll(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(to, "%d VFs, round %d of %d: kernel %.1f s, nri-sriov %.1f s\n",
			burstPods, round, burstRounds, protocol.Total(kernel.Attach).Seconds(), daemon.Seconds())
		if round > 0 {
			b.kernel, b.daemon = append(b.kernel, protocol.Total(kernel.Attach)), append(b.daemon, daemon)
		}
	}
	return nil
}

// attachAll starts the daemon and answers what it took from the first VF that it began with to the last that was there.
func (m *machine) attachAll(ctx context.Context) (took time.Duration, err error) {
	before, err := m.log(ctx, 0)
	if err != nil {
		return 0, err
	}
	if err := m.daemon.Launch(ctx, "--log-level", "debug"); err != nil {
		return 0, err
	}
	time.Sleep(6 * protocol.Hold) // looking at the log must not disturb the work
	err = lab.Eventually(ctx, limit, func(ctx context.Context) error {
		log, err := m.log(ctx, len(before))
		if err != nil {
			return err
		}
		count := 0
		if count, took, err = attachedIn(log); err == nil && count != burstPods {
			err = fmt.Errorf("the daemon has attached %d VFs, not %d", count, burstPods)
		}
		return err
	})
	return took, err
}

// figures are those with aims of many pods at once.
func (b burstTimes) figures() []figure {
	plain, asking := []time.Duration{b.plain}, []time.Duration{b.asking}
	rate := ratio(b.kernel, b.daemon)
	return []figure{
		{what: fmt.Sprintf("%d VFs at once, rate / the kernel's own serial rate", burstPods), value: rate, aim: 0.9, least: true},
		{what: fmt.Sprintf("%d pods at once to their containers running, with VFs / without", burstPods), value: ratio(asking, plain), aimless: true},
		hookFigure("RunPodSandbox", "28 pods at once", b.run),
		hookFigure("StopPodSandbox", "28 pods at once", b.stop),
		{what: fmt.Sprintf("resident memory in the guest with %d pods", burstPods), value: value{at: b.resident}, unit: " MB", aim: 40},
	}
}
