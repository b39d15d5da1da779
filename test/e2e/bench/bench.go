// Package bench measures in one guest, in one run, what giving a VF to a pod costs: the kernel's minimum, nri-sriov, and
// the CNI plugin host-device, in turns, so that whatever the machine does meanwhile hits all of them alike. Likewise it
// measures the creation of containers without and with a VF, devices for DPDK, and many pods at once. What needs no kernel
// it measures outside the guest. Figures that have an aim stand beside it. It imports nothing of pkg.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/bench/protocol"
	"github.com/nri-sriov/nri-sriov/test/e2e/daemon"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// insidePath is where the program for the guest lies there.
const insidePath = "/usr/local/bin/inside"

// config offers one VF, which is the one that every candidate uses.
var config = fmt.Sprintf(`apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
providers:
  - {pf: pf0, vfs: "0"}
networks:
  - name: bench
    vlan: {id: %d}
    allow: [ips]
`, protocol.VLAN)

// machine is the guest with all that is measured in it.
type machine struct {
	guest      *lab.Guest
	containerd *lab.Containerd
	daemon     *daemon.Daemon
	vf         string // its PCI address
	pods       int    // so many were made
}

// creationRounds is how many rounds of containers belong to a number of rounds: each has five of them.
func creationRounds(rounds int) int { return (rounds + 1) / 2 }

// Run measures what needs no kernel, then boots a guest and measures in so many rounds what attaching costs, then what a
// device adds to the creation of a container, then many pods at once, and writes the figures.
func Run(ctx context.Context, to io.Writer, rounds int) (err error) {
	outside, err := outside(ctx, to)
	if err != nil {
		return err
	}
	m := &machine{}
	defer func() {
		if m.guest == nil {
			return
		}
		if err != nil {
			err = errors.Join(err, m.keepLogs())
		}
		err = errors.Join(err, m.guest.Close())
	}()
	if err := m.start(ctx, to); err != nil {
		return err
	}
	samples, err := m.attachments(ctx, to, rounds)
	if err != nil {
		return err
	}
	figures, err := m.podFigures(ctx, samples)
	if err != nil {
		return err
	}
	created, err := m.creations(ctx, to, creationRounds(rounds))
	if err != nil {
		return err
	}
	many, err := m.burst(ctx, to)
	if err != nil {
		return err
	}
	fmt.Fprintf(to, "\nLinux %s, %d rounds\n", m.guest.Kernel(), rounds)
	if err := report(to, samples); err != nil {
		return err
	}
	if err := reportCreations(to, created); err != nil {
		return err
	}
	return reportAims(to, slices.Concat(figures, many.figures(), outside))
}

// podFigures are the figures with aims of pods that come one after the other.
func (m *machine) podFigures(ctx context.Context, samples map[candidate][]protocol.Round) ([]figure, error) {
	start := func(name candidate) (all []time.Duration) {
		for _, one := range samples[name] {
			all = append(all, protocol.Total(one.Attach))
		}
		return all
	}
	figures := []figure{
		{what: "pod to its container running, with a VF / without", value: ratio(start(podVF), start(podPlain)), aim: 1.10},
		{what: "pod to its container running, with a VF by host-device / without", value: ratio(start(podHostDevice), start(podPlain)), aimless: true},
	}
	log, err := m.log(ctx, 0)
	if err != nil {
		return nil, err
	}
	for _, hook := range []string{"RunPodSandbox", "StopPodSandbox"} {
		took, err := hooksIn(log, hook)
		if err != nil {
			return nil, err
		}
		figures = append(figures, hookFigure(hook, "one pod after the other", took))
	}
	return figures, nil
}

// hookFigure is what the daemon spends in a hook.
func hookFigure(hook, when string, took []time.Duration) figure {
	what := fmt.Sprintf("%s, p99 of %d hooks, %s (p50 %s ms)", hook, len(took), when, milliseconds(sorted(took).at(0.5)))
	return figure{what: what, value: percentile(took, 0.99), unit: " ms", aim: 5}
}

// attachments has every candidate give the VF and take it back, in so many rounds after one that is not counted.
func (m *machine) attachments(ctx context.Context, to io.Writer, rounds int) (map[candidate][]protocol.Round, error) {
	samples := map[candidate][]protocol.Round{}
	turns := []func(context.Context) (map[candidate]protocol.Round, error){
		m.minimum, m.alone, m.plugin, m.podWith, m.podWithout, m.podBeside,
	}
	for round := range rounds + 1 {
		begun := time.Now()
		for i := range turns {
			// Each comes after each other one: what a candidate leaves behind must not hit always the same.
			took, err := turns[(i*(1+round%(len(turns)-1))+round)%len(turns)](ctx)
			if err != nil {
				return nil, fmt.Errorf("round %d: %w", round, err)
			}
			for name, one := range took {
				if round > 0 {
					samples[name] = append(samples[name], one)
				}
			}
		}
		fmt.Fprintf(to, "round %d of %d took %.1f s\n", round, rounds, time.Since(begun).Seconds())
	}
	return samples, nil
}

func (m *machine) start(ctx context.Context, to io.Writer) error {
	assets, err := lab.Prepare(ctx, to)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "nri-sriov-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path, err := daemon.Build(ctx, dir)
	if err != nil {
		return err
	}
	inside, err := buildInside(ctx, dir)
	if err != nil {
		return err
	}
	if m.guest, err = lab.Boot(ctx, assets, lab.Options{Memory: "4G", NICs: []lab.NIC{
		{Name: "pf0", Wire: "wire"}, {Name: "pf1", Wire: "wire"}, {Name: "pf2", Wire: "wire"}, {Name: "pf3", Wire: "wire"},
	}}); err != nil {
		return err
	}
	if err := m.guest.CopyFile(ctx, inside, insidePath); err != nil {
		return err
	}
	if m.containerd, err = m.guest.StartContainerd(ctx, lab.ContainerdOptions{Config: metricsConfig}); err != nil {
		return err
	}
	if m.daemon, err = daemon.Install(ctx, m.guest, path); err != nil {
		return err
	}
	if err := m.daemon.Configure(ctx, config); err != nil {
		return err
	}
	if err := m.daemon.Start(ctx, "--log-level", "debug"); err != nil {
		return err
	}
	output, err := m.guest.Shell(ctx, "basename $(readlink /sys/class/net/pf0/device/virtfn0)")
	m.vf = strings.TrimSpace(output.Stdout)
	return err
}

// buildInside builds the program for the guest, and gives its path.
func buildInside(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "inside")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, "github.com/nri-sriov/nri-sriov/test/e2e/bench/inside")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program for the guest: %w\n%s", err, output)
	}
	return path, nil
}

func (m *machine) keepLogs() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	fmt.Fprintf(os.Stderr, "bench: the logs are in %s\n", m.guest.Logs())
	return m.guest.Collect(ctx, m.guest.Logs(), "/var/log")
}
