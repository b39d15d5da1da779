package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/daemon"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// pods are those that have a VF as a network interface.
var pods = []struct{ name, address, networks string }{
	{"alpha", "192.0.2.10", `[{network: public, ips: ["192.0.2.10/24"], required: [CUSTOM_LEFT]}]`},
	{"beta", "192.0.2.11", `[{network: public, ips: ["192.0.2.11/24"], required: [CUSTOM_RIGHT]}]`},
	{"gamma", "192.0.2.12", `[{network: storage, ips: ["192.0.2.12/24"], required: [CUSTOM_RIGHT]}]`},
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
