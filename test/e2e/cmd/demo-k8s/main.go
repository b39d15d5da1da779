// Command demo-k8s shows nri-sriov in a Kubernetes of two nodes, on a machine that needs no SR-IOV hardware: the scheduler
// counts VFs, pods of both nodes reach each other over theirs, and kubectl shows what happens. It exits with 1 when anything
// is not as it should be.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/cluster"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
	"github.com/nri-sriov/nri-sriov/test/e2e/steps"
	"github.com/nri-sriov/nri-sriov/test/e2e/testpmd"
)

const config = `apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
providers:
  - {pf: pf0, traits: [CUSTOM_LEFT]}
  - {pf: pf1, traits: [CUSTOM_FAST], driver: vfio-pci}
networks:
  - name: public
    vlan: {id: 100}
    required: [CUSTOM_LEFT]
    allow: [ips]
  - name: storage
    vlan: {id: 200}
    required: [CUSTOM_LEFT]
    allow: [ips]
  - name: fast
    device: vfio
    vlan: {id: 100}
    required: [CUSTOM_FAST]
hugepages: /dev/hugepages
`

// vfs is how many of its resource each network has on a node.
const vfs = lab.DefaultVFs

// nodes are the cluster's.
var nodes = []string{"node-1", "node-2"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d := &demo{}
	times, err := steps.Run(ctx, d.steps())
	err = errors.Join(err, d.end(err != nil))
	fmt.Printf("\nTime of each step: %s\n", times)
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo-k8s:", err)
		os.Exit(1)
	}
	fmt.Println("All as it should be.")
}

// demo is the state between the steps.
type demo struct {
	*cluster.Kubectl
	cluster *cluster.Cluster
	logs    string
}

func (d *demo) steps() []steps.Step {
	return []steps.Step{
		{Name: "cluster", Title: "Prepare the lab; start a control plane and two nodes, each with two PFs of 7 VFs, all on one wire", Do: d.start},
		{Name: "install", Title: "Install: make image, kubectl apply -k configs/kubernetes", Do: d.install},
		{Name: "capacity", Title: "What the scheduler knows of the nodes", Do: d.capacity},
		{Name: "pods", Title: "Two pods with a VF in VLAN 100, one on each node, and one in VLAN 200", Do: d.startPods},
		{Name: "ping", Title: "The two in VLAN 100 reach each other across the nodes; VLAN 200 hears nothing of it", Do: d.ping},
		{Name: "status", Title: "What kubectl shows of a pod", Do: d.status},
		{Name: "counted", Title: "A VF that the scheduler did not count leaves the capacity of every network that it fits", Do: d.annotated},
		{Name: "dpdk", Title: "A pod that drives its VF itself: dpdk-testpmd, as an ordinary user, answers the other node", Do: d.dpdk},
		{Name: "pending", Title: "More pods than VFs: the scheduler says what is missing, and starts the pod when one ends", Do: d.pending},
		{Name: "refusal", Title: "A network that nobody has defined: the Event says so", Do: d.refusal},
		{Name: "removal", Title: "Remove the pods: every VF comes back clean", Do: d.remove},
	}
}

func (d *demo) start(ctx context.Context) error {
	kubernetes, err := lab.PrepareKubernetes(ctx, os.Stdout)
	if err != nil {
		return err
	}
	if d.logs, err = os.MkdirTemp("", "nri-sriov-demo-k8s-"); err != nil {
		return err
	}
	d.cluster, err = cluster.Start(ctx, kubernetes, d.logs, os.Stdout, lab.Options{HugePages: 2 * testpmd.Pages}, nodes...)
	if err != nil {
		return err
	}
	d.Kubectl = d.cluster.Kubectl()
	return d.show(ctx, "get", "nodes", "-o", "wide")
}

// end ends the cluster, and keeps its logs after a failure.
func (d *demo) end(failed bool) error {
	var err error
	if d.cluster != nil {
		if failed {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			err = d.cluster.Collect(ctx)
		}
		err = errors.Join(err, d.cluster.Close())
	}
	if d.logs == "" {
		return err
	}
	if failed {
		fmt.Fprintln(os.Stderr, "demo-k8s: the logs are in", filepath.Clean(d.logs))
		return err
	}
	return errors.Join(err, os.RemoveAll(d.logs))
}

func (d *demo) install(ctx context.Context) error {
	image, err := cluster.BuildImage(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(d.cluster.Import(ctx, image), d.Install(ctx, config)); err != nil {
		return err
	}
	return d.show(ctx, "--namespace", cluster.Namespace, "get", "daemonset,pods", "-o", "wide")
}

// show prints what kubectl prints.
func (d *demo) show(ctx context.Context, args ...string) error {
	text, err := d.Do(ctx, args...)
	fmt.Printf("$ kubectl %s\n%s", strings.Join(args, " "), text)
	return err
}

// await waits for the counts of networks on a node, and shows them.
func (d *demo) await(ctx context.Context, node string, wanted map[string]int) error {
	for network, count := range wanted {
		if err := d.AwaitAllocatable(ctx, 2*time.Minute, node, network, count); err != nil {
			return err
		}
	}
	columns := "NODE:.metadata.name"
	for _, network := range []string{"public", "storage", "fast"} {
		columns += fmt.Sprintf(`,%s:.status.allocatable.sriov\.nri\.io/%s`, strings.ToUpper(network), network)
	}
	return d.show(ctx, "get", "nodes", "-o", "custom-columns="+columns)
}

func (d *demo) capacity(ctx context.Context) error {
	for _, node := range nodes {
		if err := d.await(ctx, node, map[string]int{"public": vfs, "storage": vfs, "fast": vfs}); err != nil {
			return err
		}
	}
	return nil
}
