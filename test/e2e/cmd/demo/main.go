// Command demo shows nri-sriov at work on a machine that needs no SR-IOV hardware: pods on a real containerd get real
// VFs of emulated NICs, use them, and give them back. It exits with 1 when anything is not as it should be.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/daemon"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

const config = `apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
providers:
  - {pf: pf0, traits: [CUSTOM_LEFT]}
  - {pf: pf1, traits: [CUSTOM_RIGHT]}
networks:
  - name: public
    vlan: {id: 100}
    allow: [ips]
  - name: storage
    vlan: {id: 200}
    allow: [ips]
`

// pods are what the demo starts.
var pods = []struct{ name, address, networks string }{
	{"alpha", "192.0.2.10", `[{network: public, ips: ["192.0.2.10/24"], required: [CUSTOM_LEFT]}]`},
	{"beta", "192.0.2.11", `[{network: public, ips: ["192.0.2.11/24"], required: [CUSTOM_RIGHT]}]`},
	{"gamma", "192.0.2.12", `[{network: storage, ips: ["192.0.2.12/24"], required: [CUSTOM_RIGHT]}]`},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d := &demo{}
	err := d.run(ctx)
	if d.guest != nil && err != nil {
		err = errors.Join(err, d.keepLogs())
	}
	if d.guest != nil {
		err = errors.Join(err, d.guest.Close())
	}
	fmt.Printf("\nTime of each step: %s\n", strings.Join(d.times, ", "))
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	fmt.Println("All as it should be.")
}

// demo is the state between the steps.
type demo struct {
	times      []string
	guest      *lab.Guest
	containerd *lab.Containerd
	daemon     *daemon.Daemon
	sandboxes  []string
	containers []string
}

func (d *demo) run(ctx context.Context) error {
	for _, step := range []struct {
		name, title string
		do          func(context.Context) error
	}{
		{"lab", "Prepare the lab and boot a machine with two PFs of 7 VFs on one wire", d.boot},
		{"daemon", "Start containerd and nri-sriov", d.start},
		{"inventory", "The node as nri-sriov sees it", d.inventory},
		{"pods", "Start two pods with a VF of each PF in VLAN 100, and one in VLAN 200", d.startPods},
		{"ping", "The two in VLAN 100 reach each other", d.ping},
		{"isolation", "VLAN 200 hears nothing of it", d.isolation},
		{"results", "What each pod was given", d.results},
		{"removal", "Remove the pods: every VF comes back clean", d.remove},
	} {
		fmt.Printf("\n== %s\n", step.title)
		begun := time.Now()
		err := step.do(ctx)
		d.times = append(d.times, fmt.Sprintf("%s %.1f s", step.name, time.Since(begun).Seconds()))
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

func (d *demo) boot(ctx context.Context) error {
	assets, err := lab.Prepare(ctx, os.Stdout)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "nri-sriov-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path, err := daemon.Build(ctx, dir)
	if err != nil {
		return err
	}
	if d.guest, err = lab.Boot(ctx, assets, lab.Options{}); err != nil {
		return err
	}
	fmt.Printf("Linux %s, booted in %.1f s.\n", d.guest.Kernel(), d.guest.BootTime().Seconds())
	d.daemon, err = daemon.Install(ctx, d.guest, path)
	return err
}

func (d *demo) start(ctx context.Context) (err error) {
	if d.containerd, err = d.guest.StartContainerd(ctx, lab.ContainerdOptions{}); err != nil {
		return err
	}
	if err := d.daemon.Configure(ctx, config); err != nil {
		return err
	}
	if err := d.daemon.Start(ctx); err != nil {
		return err
	}
	return d.show(ctx, "version")
}

// show prints what a subcommand prints.
func (d *demo) show(ctx context.Context, args ...string) error {
	output, err := d.daemon.CLI(ctx, args...)
	fmt.Printf("$ nri-sriov %s\n%s", strings.Join(args, " "), output.Stdout)
	return err
}

func (d *demo) inventory(ctx context.Context) error {
	free, err := d.daemon.AllFree(ctx)
	if err != nil {
		return err
	}
	if free != 14 {
		return fmt.Errorf("%d VFs are free, not 14", free)
	}
	return d.show(ctx, "inventory")
}

func (d *demo) startPods(ctx context.Context) error {
	for _, pod := range pods {
		fmt.Printf("pod demo/%s, annotation sriov.nri.io/networks: %s\n", pod.name, pod.networks)
		sandbox, err := d.containerd.CRI().RunPod(ctx, lab.Pod{
			Name: pod.name, Namespace: "demo", Annotations: map[string]string{"sriov.nri.io/networks": pod.networks},
		})
		if err != nil {
			return err
		}
		d.sandboxes = append(d.sandboxes, sandbox)
		container, err := d.containerd.CRI().StartIn(ctx, sandbox, "app")
		if err != nil {
			return err
		}
		d.containers = append(d.containers, container)
	}
	return d.show(ctx, "pods")
}

func (d *demo) ping(ctx context.Context) error {
	for from, to := range map[int]int{0: 1, 1: 0} {
		// The first frames may be lost while a VF gets its carrier.
		err := lab.Eventually(ctx, 30*time.Second, func(ctx context.Context) error {
			_, err := d.containerd.CRI().Exec(ctx, d.containers[from], "ping", "-c", "1", "-W", "1", pods[to].address)
			return err
		})
		if err != nil {
			return err
		}
	}
	output, err := d.containerd.CRI().Exec(ctx, d.containers[0], "ping", "-c", "3", pods[1].address)
	fmt.Printf("%s$ %s\n", pods[0].name, output.Stdout)
	return err
}

func (d *demo) isolation(ctx context.Context) error {
	// gamma says something first, and is then counted while it is silent: its NIC gives it its own broadcasts back.
	if err := d.unreachable(ctx, 2, 0); err != nil {
		return err
	}
	heard, err := d.received(ctx, 2)
	if err != nil {
		return err
	}
	if err := d.unreachable(ctx, 0, 2); err != nil {
		return err
	}
	now, err := d.received(ctx, 2)
	if err != nil {
		return err
	}
	fmt.Printf("%s has received %s frames before and %s after %s asked for it.\n", pods[2].name, heard, now, pods[0].name)
	if now != heard {
		return fmt.Errorf("%s hears frames of another VLAN", pods[2].name)
	}
	return nil
}

// unreachable shows that one pod does not reach another.
func (d *demo) unreachable(ctx context.Context, from, to int) error {
	output, err := d.containerd.CRI().Exec(ctx, d.containers[from], "ping", "-c", "3", "-W", "1", pods[to].address)
	fmt.Printf("%s$ %s\n", pods[from].name, output.Stdout)
	if exit := (*lab.ExitError)(nil); !errors.As(err, &exit) {
		return fmt.Errorf("%s reaches %s across VLANs, or cannot try: %w", pods[from].name, pods[to].name, err)
	}
	return nil
}

func (d *demo) received(ctx context.Context, pod int) (string, error) {
	output, err := d.containerd.CRI().Exec(ctx, d.containers[pod], "cat", "/sys/class/net/net1/statistics/rx_packets")
	return strings.TrimSpace(output.Stdout), err
}

func (d *demo) results(ctx context.Context) error {
	for i, pod := range pods {
		result, err := d.guest.ReadFile(ctx, fmt.Sprintf("%s/%s/net1.json", daemon.Results, d.sandboxes[i]))
		if err != nil {
			return err
		}
		fmt.Printf("CNI result of demo/%s: %s", pod.name, result)
		networks, err := d.containerd.CRI().Exec(ctx, d.containers[i], "cat", "/run/nri-sriov/networks.json")
		if err != nil {
			return err
		}
		fmt.Printf("%s$ cat $NRI_SRIOV_NETWORKS\n%s\n", pod.name, networks.Stdout)
	}
	return nil
}

func (d *demo) remove(ctx context.Context) error {
	for _, sandbox := range d.sandboxes {
		if err := errors.Join(d.containerd.CRI().StopPod(ctx, sandbox), d.containerd.CRI().RemovePod(ctx, sandbox)); err != nil {
			return err
		}
	}
	if err := d.inventory(ctx); err != nil {
		return err
	}
	if code, err := d.daemon.Stop(ctx); err != nil || code != 0 {
		return fmt.Errorf("the daemon ends with %d: %w", code, err)
	}
	return d.containerd.Stop(ctx)
}

func (d *demo) keepLogs() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	fmt.Fprintf(os.Stderr, "demo: the logs are in %s\n", d.guest.Logs())
	return d.guest.Collect(ctx, d.guest.Logs(), "/var/log")
}
