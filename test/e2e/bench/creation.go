package bench

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/bench/protocol"
)

// holding is what a sandbox has while containers are created in it: one row of the figures.
type holding string

const (
	holdsNothing holding = "pod without annotation"
	holdsNetdev  holding = "netdev"
	holdsWarm    holding = "vfio, warm pool"
	holdsBound   holding = "vfio, bound on demand"
)

// holdings are all of them, each with its pod's annotation.
var holdings = []struct {
	name     holding
	networks string
}{
	{holdsNothing, ""},
	{holdsNetdev, netdevNetworks},
	{holdsWarm, "warm"},
	{holdsBound, "bound"},
}

// creationConfig has the free VFs of pf0 in their network driver, those of pf1 in vfio-pci. Huge pages are part of what a
// container with a vfio device is given.
var creationConfig = fmt.Sprintf(`apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
providers:
  - {pf: pf0, traits: [CUSTOM_BOUND]}
  - {pf: pf1, traits: [CUSTOM_WARM], driver: vfio-pci}
  - {pf: pf2}
  - {pf: pf3}
networks:
  - {name: bench, vlan: {id: %[1]d}, allow: [ips], required: [CUSTOM_BOUND]}
  - {name: bound, device: vfio, vlan: {id: %[1]d}, required: [CUSTOM_BOUND]}
  - {name: warm, device: vfio, vlan: {id: %[1]d}, required: [CUSTOM_WARM]}
hugepages: /dev/hugepages
`, protocol.VLAN)

// perRound is how many containers are created in each sandbox in a round: what is looked for is less than what two calls
// differ by.
const perRound = 5

// taken are the times of one holding, in the order in which they were taken.
type taken struct {
	// create is CreateContainer as the CRI client outside the guest sees it.
	create []time.Duration
	// hook is how long the runtime waited in it for the daemon, the mean of each round.
	hook []time.Duration
	// attach and release are the daemon's own times, of vfio devices only.
	attach, release []time.Duration
}

// creations measures what a VF that is already attached adds to the creation of a container, in so many rounds after one
// that is not counted, and what it takes to attach and release vfio devices.
func (m *machine) creations(ctx context.Context, to io.Writer, rounds int) (map[holding]*taken, error) {
	if err := m.reconfigure(ctx, creationConfig, "info"); err != nil {
		return nil, err
	}
	all, sandboxes := map[holding]*taken{}, map[holding]string{}
	for _, each := range holdings {
		sandbox, err := m.containerd.CRI().RunPod(ctx, m.podFor(each.networks))
		if err == nil {
			_, err = m.passing(ctx, sandbox) // what is measured finds the VF attached
		}
		if err != nil {
			return nil, err
		}
		all[each.name], sandboxes[each.name] = &taken{}, sandbox
	}
	for round := range rounds + 1 {
		begun := time.Now()
		for i := range holdings {
			name := holdings[(i+round)%len(holdings)].name
			if err := m.create(ctx, sandboxes[name], all[name]); err != nil {
				return nil, fmt.Errorf("round %d: %s: %w", round, name, err)
			}
		}
		for _, name := range []holding{holdsWarm, holdsBound} {
			if err := m.again(ctx, sandboxes[name], round+1, all[name]); err != nil {
				return nil, fmt.Errorf("round %d: %s: %w", round, name, err)
			}
		}
		if round == 0 {
			for _, one := range all {
				*one = taken{}
			}
		}
		fmt.Fprintf(to, "containers, round %d of %d took %.1f s\n", round, rounds, time.Since(begun).Seconds())
	}
	return all, m.removePods(ctx, slices.Collect(maps.Values(sandboxes)))
}

// reconfigure starts the daemon anew with another config and log level, and waits until all of its VFs are free.
func (m *machine) reconfigure(ctx context.Context, text, logLevel string) error {
	if code, err := m.daemon.Stop(ctx); err != nil || code != 0 {
		return fmt.Errorf("the daemon ends with %d: %w", code, err)
	}
	if err := m.daemon.Configure(ctx, text); err != nil {
		return err
	}
	if err := m.daemon.Start(ctx, "--log-level", logLevel); err != nil {
		return err
	}
	_, err := m.daemon.AllFree(ctx)
	return err
}

// passing creates a container and removes it, and answers what the creation took.
func (m *machine) passing(ctx context.Context, sandbox string) (time.Duration, error) {
	begun := time.Now()
	container, err := m.createIn(ctx, sandbox)
	took := time.Since(begun)
	if err == nil {
		err = m.containerd.CRI().RemoveContainer(ctx, container)
	}
	return took, err
}

// create takes the times of containers that are created one after the other.
func (m *machine) create(ctx context.Context, sandbox string, into *taken) error {
	before, err := m.waited(ctx)
	if err != nil {
		return err
	}
	for range perRound {
		took, err := m.passing(ctx, sandbox)
		if err != nil {
			return err
		}
		into.create = append(into.create, took)
	}
	now, err := m.waited(ctx)
	if err != nil {
		return err
	}
	hook, err := now.each(before, perRound)
	into.hook = append(into.hook, hook)
	return err
}

// again has the sandbox's device released by hand, for the nth time, and attached at the creation of a container.
func (m *machine) again(ctx context.Context, sandbox string, nth int, into *taken) error {
	if _, err := m.daemon.CLI(ctx, "release", sandbox); err != nil {
		return err
	}
	time.Sleep(protocol.Hold) // looking at the log must not disturb the release
	release, err := m.logged(ctx, sandbox, "VF free", nth)
	if err != nil {
		return err
	}
	if _, err := m.passing(ctx, sandbox); err != nil {
		return err
	}
	attach, err := m.logged(ctx, sandbox, "VF attached", nth+1)
	if err != nil {
		return err
	}
	into.release = append(into.release, protocol.Total(release))
	into.attach = append(into.attach, protocol.Total(attach))
	return nil
}
