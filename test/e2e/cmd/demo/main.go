// Command demo shows nri-sriov at work on a machine that needs no SR-IOV hardware: pods on a real containerd get real
// VFs of emulated NICs, as network interfaces and for DPDK, use them, and give them back. It exits with 1 when anything
// is not as it should be.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/daemon"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
	"github.com/nri-sriov/nri-sriov/test/e2e/steps"
	"github.com/nri-sriov/nri-sriov/test/e2e/testpmd"
)

const config = `apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
providers:
  - {pf: pf0, traits: [CUSTOM_LEFT]}
  - {pf: pf1, traits: [CUSTOM_RIGHT]}
  - {pf: pf2, traits: [CUSTOM_FAST], driver: vfio-pci}
networks:
  - name: public
    vlan: {id: 100}
    allow: [ips]
  - name: storage
    vlan: {id: 200}
    allow: [ips]
  - name: fast
    device: vfio
    vlan: {id: 100}
    required: [CUSTOM_FAST]
hugepages: /dev/hugepages
`

// nics are the PFs of the config, on one wire.
var nics = []lab.NIC{{Name: "pf0", Wire: "wire"}, {Name: "pf1", Wire: "wire"}, {Name: "pf2", Wire: "wire"}}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d := &demo{}
	times, err := steps.Run(ctx, d.steps())
	if d.guest != nil && err != nil {
		err = errors.Join(err, d.keepLogs())
	}
	if d.guest != nil {
		err = errors.Join(err, d.guest.Close())
	}
	fmt.Printf("\nTime of each step: %s\n", times)
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	fmt.Println("All as it should be.")
}

// demo is the state between the steps.
type demo struct {
	guest      *lab.Guest
	containerd *lab.Containerd
	daemon     *daemon.Daemon
	sandboxes  []string
	containers []string
	// testpmd is what drives delta's VF.
	testpmd *testpmd.Program
	// before is the state of the VFs before any pod.
	before string
}

func (d *demo) steps() []steps.Step {
	return []steps.Step{
		{Name: "lab", Title: "Prepare the lab and boot a machine with three PFs of 7 VFs on one wire", Do: d.boot},
		{Name: "daemon", Title: "Start containerd and nri-sriov", Do: d.start},
		{Name: "inventory", Title: "The node as nri-sriov sees it: the free VFs of pf2 rest in vfio-pci", Do: d.look},
		{Name: "pods", Title: "Start two pods with a VF of pf0 and of pf1 in VLAN 100, and one in VLAN 200", Do: d.startPods},
		{Name: "ping", Title: "The two in VLAN 100 reach each other", Do: d.ping},
		{Name: "isolation", Title: "VLAN 200 hears nothing of it", Do: d.isolation},
		{Name: "results", Title: "What each pod was given", Do: d.results},
		{Name: "dpdk", Title: "Start a pod in VLAN 100 that drives its VF itself: dpdk-testpmd, as an ordinary user", Do: d.startDPDK},
		{Name: "dpdk given", Title: "What it was given", Do: d.givenDPDK},
		{Name: "dpdk ping", Title: "VLAN 100 reaches testpmd, which answers for every address", Do: d.pingDPDK},
		{Name: "dpdk isolation", Title: "VLAN 200 does not", Do: d.isolationDPDK},
		{Name: "removal", Title: "Remove the pods: every VF comes back clean", Do: d.remove},
	}
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
	if d.guest, err = lab.Boot(ctx, assets, lab.Options{NICs: nics, HugePages: testpmd.Pages}); err != nil {
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

func (d *demo) look(ctx context.Context) (err error) {
	if err := d.inventory(ctx); err != nil {
		return err
	}
	d.before, err = d.state(ctx)
	return err
}

func (d *demo) inventory(ctx context.Context) error {
	free, err := d.daemon.AllFree(ctx)
	if err != nil {
		return err
	}
	if want := len(nics) * lab.DefaultVFs; free != want {
		return fmt.Errorf("%d VFs are free, not %d", free, want)
	}
	return d.show(ctx, "inventory")
}

// state draws what the kernel has of the VFs: what the PFs have set for each, its driver and its interface.
func (d *demo) state(ctx context.Context) (string, error) {
	output, err := d.guest.Shell(ctx, `
for pf in /sys/class/net/pf?; do
	ip link show $(basename $pf) | grep -o 'vf .*'
	for vf in $pf/device/virtfn*; do
		echo $(basename $(readlink $vf)) $(basename $(readlink $vf/driver)) $(grep -s . $vf/net/*/address $vf/net/*/mtu $vf/net/*/flags)
	done
done`)
	return output.Stdout, err
}

func (d *demo) remove(ctx context.Context) error {
	for _, sandbox := range slices.Backward(d.sandboxes) { // testpmd first, which keeps the CPUs busy
		if err := errors.Join(d.containerd.CRI().StopPod(ctx, sandbox), d.containerd.CRI().RemovePod(ctx, sandbox)); err != nil {
			return err
		}
	}
	if err := d.inventory(ctx); err != nil {
		return err
	}
	now, err := d.state(ctx)
	if err != nil {
		return err
	}
	if now != d.before {
		return fmt.Errorf("the VFs are not as before\n--- before\n%s--- now\n%s", d.before, now)
	}
	fmt.Println("Drivers, interfaces and the PFs' settings are as before the pods.")
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
