package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/bench/protocol"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// candidate is one row of the figures.
type candidate string

const (
	kernelMinimum candidate = "kernel's minimum"
	daemonAlone   candidate = "nri-sriov"
	daemonBeside  candidate = "nri-sriov, beside a pod's start and stop"
	hostDevice    candidate = "host-device + ip"
	podPlain      candidate = "pod without a VF"
	podVF         candidate = "pod with a VF"
	podHostDevice candidate = "pod with a VF by host-device"
)

// limit bounds the wait for a line in the daemon's log.
const limit = time.Minute

// minimum is the messages that the kernel cannot do without; see the program inside.
func (m *machine) minimum(ctx context.Context) (map[candidate]protocol.Round, error) {
	return m.inside(ctx, kernelMinimum, "minimum")
}

// plugin is the CNI plugin host-device and iproute2; see the program inside.
func (m *machine) plugin(ctx context.Context) (map[candidate]protocol.Round, error) {
	return m.inside(ctx, hostDevice, "plugin")
}

func (m *machine) inside(ctx context.Context, name candidate, argument string) (map[candidate]protocol.Round, error) {
	round, err := m.runInside(ctx, argument, m.vf)
	return map[candidate]protocol.Round{name: round}, err
}

func (m *machine) runInside(ctx context.Context, args ...string) (round protocol.Round, err error) {
	output, err := m.guest.Run(ctx, append([]string{insidePath}, args...)...)
	if err != nil {
		return round, err
	}
	if err := json.Unmarshal([]byte(output.Stdout), &round); err != nil {
		return round, fmt.Errorf("read what %s took: %w", args[0], err)
	}
	return round, nil
}

// alone has the daemon attach and release while nothing else is at work, so that the figures compare with the minimum's:
// a sandbox gives its VF back by hand, and gets it again when a container is to be created in it, for which the runtime
// does nothing but wait. The times are the daemon's own.
func (m *machine) alone(ctx context.Context) (map[candidate]protocol.Round, error) {
	cri := m.containerd.CRI()
	sandbox, err := cri.RunPod(ctx, m.pod(true))
	if err != nil {
		return nil, err
	}
	if _, err := m.release(ctx, sandbox, 1); err != nil {
		return nil, err
	}
	if _, err := m.createIn(ctx, sandbox); err != nil {
		return nil, err
	}
	detach, err := m.release(ctx, sandbox, 2)
	if err != nil {
		return nil, err
	}
	attach, err := m.logged(ctx, sandbox, "VF attached", 2)
	if err != nil {
		return nil, err
	}
	_, err = m.stopPod(ctx, sandbox)
	return map[candidate]protocol.Round{daemonAlone: {Attach: attach, Detach: detach}}, err
}

// release holds the VF for a while and has the daemon take it back, by hand for the nth time.
func (m *machine) release(ctx context.Context, sandbox string, nth int) ([]protocol.Step, error) {
	time.Sleep(protocol.Hold)
	if _, err := m.daemon.CLI(ctx, "release", sandbox); err != nil {
		return nil, err
	}
	time.Sleep(protocol.Hold) // looking at the log must not disturb the release
	return m.logged(ctx, sandbox, "VF free", nth)
}

// podWith runs a sandbox that asks for the VF, and starts a container in it at once, as the kubelet does.
func (m *machine) podWith(ctx context.Context) (map[candidate]protocol.Round, error) {
	start, sandbox, err := m.startPod(ctx, true)
	if err != nil {
		return nil, err
	}
	stop, err := m.stopPod(ctx, sandbox)
	if err != nil {
		return nil, err
	}
	attach, attachErr := m.logged(ctx, sandbox, "VF attached", 1)
	detach, detachErr := m.logged(ctx, sandbox, "VF free", 1)
	return map[candidate]protocol.Round{
		daemonBeside: {Attach: attach, Detach: detach}, podVF: {Attach: start, Detach: stop},
	}, errors.Join(attachErr, detachErr)
}

// podWithout is podWith for a pod that asks for nothing.
func (m *machine) podWithout(ctx context.Context) (map[candidate]protocol.Round, error) {
	start, sandbox, err := m.startPod(ctx, false)
	if err != nil {
		return nil, err
	}
	stop, err := m.stopPod(ctx, sandbox)
	return map[candidate]protocol.Round{podPlain: {Attach: start, Detach: stop}}, err
}

// podBeside is podWithout with the VF given and taken by host-device, as a CNI meta-plugin would have it do: when the
// sandbox is there, before its container, and before the sandbox is stopped.
func (m *machine) podBeside(ctx context.Context) (map[candidate]protocol.Round, error) {
	var netns string
	var given protocol.Round
	start, sandbox, err := m.startPodWith(ctx, false, func(sandbox string) (err error) {
		status, err := m.containerd.CRI().PodStatus(ctx, sandbox)
		if err == nil {
			netns = status.NetNS
			given, err = m.runInside(ctx, "give", m.vf, netns)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	time.Sleep(protocol.Hold)
	taken, err := m.runInside(ctx, "take", m.vf, netns)
	if err != nil {
		return nil, err
	}
	stop, err := m.stopPod(ctx, sandbox)
	return map[candidate]protocol.Round{podHostDevice: {Attach: append(given.Attach, start...), Detach: append(taken.Detach, stop...)}}, err
}

func (m *machine) startPod(ctx context.Context, asks bool) (steps []protocol.Step, sandbox string, err error) {
	return m.startPodWith(ctx, asks, nil)
}

// startPodWith does something between sandbox and container, which is not in the time.
func (m *machine) startPodWith(ctx context.Context, asks bool, between func(sandbox string) error) (steps []protocol.Step, sandbox string, err error) {
	cri := m.containerd.CRI()
	begun := time.Now()
	if sandbox, err = cri.RunPod(ctx, m.pod(asks)); err != nil {
		return nil, "", err
	}
	steps = append(steps, protocol.Step{Name: "RunPodSandbox", Took: time.Since(begun)})
	if between != nil {
		if err := between(sandbox); err != nil {
			return nil, "", err
		}
	}
	made := time.Now()
	container, err := m.createIn(ctx, sandbox)
	if err != nil {
		return nil, "", err
	}
	if err := cri.StartContainer(ctx, container); err != nil {
		return nil, "", err
	}
	return append(steps, protocol.Step{Name: "CreateContainer, StartContainer", Took: time.Since(made)}), sandbox, nil
}

// createIn creates a container as the kubelet does: it asks again while the daemon says that an attach is still at work,
// which on a busy host takes longer than the runtime waits for a hook.
func (m *machine) createIn(ctx context.Context, sandbox string) (string, error) {
	for deadline := time.Now().Add(limit); ; {
		container, err := m.containerd.CRI().CreateContainer(ctx, sandbox, lab.Container{Name: "app"})
		if err == nil || !strings.Contains(err.Error(), "the container is tried again") || time.Now().After(deadline) {
			return container, err
		}
	}
}

// stopPod holds a pod for a while, stops it and removes it; the removal is not measured.
func (m *machine) stopPod(ctx context.Context, sandbox string) ([]protocol.Step, error) {
	time.Sleep(protocol.Hold)
	begun := time.Now()
	if err := m.containerd.CRI().StopPod(ctx, sandbox); err != nil {
		return nil, err
	}
	steps := []protocol.Step{{Name: "StopPodSandbox", Took: time.Since(begun)}}
	time.Sleep(protocol.Hold) // looking at the log must not disturb the release
	return steps, m.containerd.CRI().RemovePod(ctx, sandbox)
}

// logged waits for the nth message of its kind about a sandbox in the daemon's log, and answers what it says to have taken.
func (m *machine) logged(ctx context.Context, sandbox, message string, nth int) (steps []protocol.Step, err error) {
	err = lab.Eventually(ctx, limit, func(ctx context.Context) error {
		log, err := m.log(ctx, 0)
		if err != nil {
			return err
		}
		found := 0
		for line := range strings.Lines(log) {
			if !strings.Contains(line, fmt.Sprintf("msg=%q", message)) || !strings.Contains(line, sandbox) {
				continue
			}
			if found++; found < nth {
				continue
			}
			took, err := tookIn(line)
			steps = []protocol.Step{{Name: message, Took: took}}
			return err
		}
		return fmt.Errorf("the daemon has said %q of sandbox %s %d times, not %d", message, sandbox, found, nth)
	})
	return steps, err
}

// netdevNetworks asks for a VF as every candidate gives it.
var netdevNetworks = fmt.Sprintf(`[{network: bench, name: %s, ips: [%q]}]`, protocol.Interface, protocol.Address)

func (m *machine) pod(asks bool) lab.Pod {
	if asks {
		return m.podFor(netdevNetworks)
	}
	return m.podFor("")
}

// podFor is one that no other was before; without networks it has no annotation.
func (m *machine) podFor(networks string) lab.Pod {
	m.pods++
	pod := lab.Pod{Name: fmt.Sprintf("bench-%d", m.pods)}
	if networks != "" {
		pod.Annotations = map[string]string{"sriov.nri.io/networks": networks}
	}
	return pod
}
