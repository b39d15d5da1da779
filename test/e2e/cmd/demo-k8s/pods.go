package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/cluster"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// startLimit is how long a pod may take to run, or to go.
const startLimit = 4 * time.Minute

// create creates pods and waits until they run.
func (d *demo) create(ctx context.Context, pods ...cluster.Pod) error {
	for _, pod := range pods {
		fmt.Printf("pod %s, resources %v, annotation %s: %s\n", pod.Name, pod.Devices, cluster.Networks, pod.Annotations[cluster.Networks])
		if err := d.Apply(ctx, pod.Manifest()); err != nil {
			return err
		}
	}
	for _, pod := range pods {
		if _, err := d.AwaitPod(ctx, startLimit, "", pod.Name, cluster.PodState.Ready); err != nil {
			return err
		}
	}
	return d.show(ctx, "get", "pods", "-o", "wide")
}

// delete deletes pods and waits until they are gone.
func (d *demo) delete(ctx context.Context, names ...string) error {
	return d.show(ctx, append([]string{"delete", "pod", "--timeout=" + startLimit.String()}, names...)...)
}

func (d *demo) startPods(ctx context.Context) error {
	return d.create(ctx, cluster.WithVF("alpha", nodes[0], "public", "192.0.2.11"), cluster.WithVF("beta", nodes[1], "public", "192.0.2.12"),
		cluster.WithVF("gamma", nodes[1], "storage", "192.0.2.13"))
}

// reach has a pod ping an address; the first try also finds out the other's MAC address.
func (d *demo) reach(ctx context.Context, pod, address string) error {
	if err := lab.Eventually(ctx, 3*time.Minute, func(ctx context.Context) error {
		_, err := d.Exec(ctx, "", pod, "ping", "-c", "1", "-W", "2", address)
		return err
	}); err != nil {
		return err
	}
	return d.show(ctx, "exec", pod, "--", "ping", "-c", "3", address)
}

func (d *demo) ping(ctx context.Context) error {
	if err := d.reach(ctx, "alpha", "192.0.2.12"); err != nil {
		return err
	}
	err := d.show(ctx, "exec", "gamma", "--", "ping", "-c", "3", "-W", "1", "192.0.2.11")
	if exit := (*cluster.ExitError)(nil); !errors.As(err, &exit) || !strings.Contains(exit.Stdout, "100% packet loss") {
		return fmt.Errorf("gamma reaches alpha across VLANs, or cannot try: %w", err)
	}
	return nil
}

func (d *demo) status(ctx context.Context) error {
	if err := d.show(ctx, "exec", "alpha", "--", "sh", "-c", "cat $NRI_SRIOV_NETWORKS; ip addr show net1"); err != nil {
		return err
	}
	state, err := d.AwaitPod(ctx, time.Minute, "", "alpha", func(state cluster.PodState) bool {
		return strings.Contains(state.Metadata.Annotations[cluster.NetworkStatus], `"sriov.nri.io/public"`)
	})
	fmt.Printf("%s of alpha: %s\n", cluster.NetworkStatus, state.Metadata.Annotations[cluster.NetworkStatus])
	return err
}

func (d *demo) annotated(ctx context.Context) error {
	// alpha has one of public, which is none of storage any more.
	if err := d.await(ctx, nodes[0], map[string]int{"public": vfs, "storage": vfs - 1}); err != nil {
		return err
	}
	pod := cluster.WithVF("delta", nodes[0], "storage", "192.0.2.14")
	pod.Devices = nil
	if err := d.create(ctx, pod); err != nil {
		return err
	}
	if err := d.await(ctx, nodes[0], map[string]int{"public": vfs - 1, "storage": vfs - 2}); err != nil {
		return err
	}
	if err := d.delete(ctx, pod.Name); err != nil {
		return err
	}
	return d.await(ctx, nodes[0], map[string]int{"public": vfs, "storage": vfs - 1})
}

func (d *demo) dpdk(ctx context.Context) error {
	pod := cluster.DPDKPod("fast", nodes[1], "fast")
	fmt.Println("container's command:", pod.Container.Command[len(pod.Container.Command)-1])
	if err := d.create(ctx, pod); err != nil {
		return err
	}
	// It answers for every address of its VLAN.
	if err := d.reach(ctx, "alpha", "192.0.2.99"); err != nil {
		log, _ := d.Do(ctx, "logs", pod.Name, "--tail=20")
		return fmt.Errorf("%w\n%s", err, log)
	}
	return d.show(ctx, "exec", pod.Name, "--", "sh", "-c", "id; ls -l /dev/vfio; grep CapEff /proc/self/status")
}

func (d *demo) pending(ctx context.Context) error {
	// All that node-1 has: alpha has one already.
	var many []cluster.Pod
	var names []string
	for i := range vfs - 1 {
		pod := cluster.Pod{Name: fmt.Sprintf("many-%d", i), Node: nodes[0], Devices: map[string]int{"public": 1}}
		many, names = append(many, pod), append(names, pod.Name)
	}
	if err := d.create(ctx, many...); err != nil {
		return err
	}
	waits := cluster.Pod{Name: "waits", Node: nodes[0], Devices: map[string]int{"public": 1}}
	if err := d.Apply(ctx, waits.Manifest()); err != nil {
		return err
	}
	if _, err := d.AwaitPod(ctx, time.Minute, "", waits.Name, func(state cluster.PodState) bool {
		return strings.Contains(state.String(), "Insufficient "+cluster.Resource("public"))
	}); err != nil {
		return err
	}
	if err := d.events(ctx, waits.Name); err != nil {
		return err
	}
	if err := d.delete(ctx, names[0]); err != nil {
		return err
	}
	if err := d.create(ctx, waits); err != nil { // it is there already
		return err
	}
	return d.delete(ctx, append(names[1:], waits.Name)...)
}

// events shows the end of what kubectl describes a pod as.
func (d *demo) events(ctx context.Context, pod string) error {
	text, err := d.Do(ctx, "describe", "pod", pod)
	fmt.Printf("$ kubectl describe pod %s\n…\n%s", pod, text[max(0, strings.LastIndex(text, "Events:")):])
	return err
}

func (d *demo) refusal(ctx context.Context) error {
	pod := cluster.Pod{Name: "wrong", Node: nodes[0], Annotations: map[string]string{cluster.Networks: "nosuch"}}
	if err := d.Apply(ctx, pod.Manifest()); err != nil {
		return err
	}
	if err := lab.Eventually(ctx, 2*time.Minute, func(ctx context.Context) error {
		events, err := d.Events(ctx, "", pod.Name)
		for _, event := range events {
			if strings.Contains(event.Source.Component+event.ReportingComponent, "nri-sriov") && strings.Contains(event.Message, `network "nosuch"`) {
				return err
			}
		}
		return errors.Join(err, errors.New("there is no Event that tells of it"))
	}); err != nil {
		return err
	}
	if err := d.events(ctx, pod.Name); err != nil {
		return err
	}
	return d.delete(ctx, pod.Name)
}

func (d *demo) remove(ctx context.Context) error {
	if err := d.delete(ctx, "alpha", "beta", "gamma", "fast"); err != nil {
		return err
	}
	for _, node := range nodes {
		if err := d.AwaitFree(ctx, 2*time.Minute, node); err != nil {
			return err
		}
	}
	return d.capacity(ctx)
}
