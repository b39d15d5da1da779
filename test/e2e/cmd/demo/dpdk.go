package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
	"github.com/nri-sriov/nri-sriov/test/e2e/testpmd"
)

// The pod that drives its VF itself. It starts when the others have shown what they have to: testpmd answers ARP for every
// address, theirs too.
const (
	dpdkPod       = "delta"
	dpdkContainer = "testpmd"
	dpdkNetworks  = `[{network: fast, containers: [testpmd]}]`
	// dpdkAddress is nobody's; in its VLAN only testpmd can answer for it.
	dpdkAddress = "192.0.2.13"
)

// pings is how many are sent while testpmd counts.
const pings = 5

func (d *demo) startDPDK(ctx context.Context) error {
	fmt.Printf("pod demo/%s, annotation sriov.nri.io/networks: %s\n", dpdkPod, dpdkNetworks)
	sandbox, err := d.containerd.CRI().RunPod(ctx, lab.Pod{
		Name: dpdkPod, Namespace: "demo", Annotations: map[string]string{"sriov.nri.io/networks": dpdkNetworks},
	})
	if err != nil {
		return err
	}
	d.sandboxes = append(d.sandboxes, sandbox)
	options := testpmd.Options{
		Devices: []string{"$PCIDEVICE_SRIOV_NRI_IO_FAST"}, Mode: testpmd.Echo, Container: lab.Container{Name: dpdkContainer},
	}
	container := testpmd.Container(options)
	fmt.Printf("container %s, user %d, no capabilities: %s\n", container.Name, container.RunAsUser, container.Command[len(container.Command)-1])
	if d.testpmd, err = testpmd.Start(ctx, d.guest, d.containerd.CRI(), sandbox, options); err != nil {
		return err
	}
	return d.show(ctx, "pods")
}

// given is what the container looks at, in one program: beside a testpmd each start takes seconds.
const given = `cat $NRI_SRIOV_NETWORKS; ls -l /dev/vfio; id; grep CapEff /proc/self/status; ulimit -l`

// givenDPDK shows what the container was given, and that it has no other right.
func (d *demo) givenDPDK(ctx context.Context) error {
	output, err := d.containerd.CRI().Exec(ctx, d.testpmd.ContainerID(), "sh", "-c", given)
	fmt.Printf("%s$ %s\n%s", dpdkPod, given, output.Stdout)
	if err != nil {
		return err
	}
	for _, wanted := range []string{
		`"driver": "vfio-pci"`, `"/dev/vfio/vfio"`,
		"crw-------", fmt.Sprintf("uid=%d", testpmd.User), "CapEff:\t0000000000000000\n", "\nunlimited\n",
	} {
		if !strings.Contains(output.Stdout, wanted) {
			return fmt.Errorf("there is no %q in it", wanted)
		}
	}
	return nil
}

func (d *demo) pingDPDK(ctx context.Context) error {
	cri := d.containerd.CRI()
	// The first one asks for the MAC address, too.
	if err := lab.Eventually(ctx, 30*time.Second, func(ctx context.Context) error {
		_, err := cri.Exec(ctx, d.containers[0], "ping", "-c", "1", "-W", "1", dpdkAddress)
		return err
	}); err != nil {
		return err
	}
	return d.counting(ctx, pings, func() error {
		output, err := cri.Exec(ctx, d.containers[0], "ping", "-c", fmt.Sprint(pings), dpdkAddress)
		fmt.Printf("%s$ %s\n", pods[0].name, output.Stdout)
		return err
	})
}

func (d *demo) isolationDPDK(ctx context.Context) error {
	return d.counting(ctx, 0, func() error {
		output, err := d.containerd.CRI().Exec(ctx, d.containers[2], "ping", "-c", "3", "-W", "1", dpdkAddress)
		fmt.Printf("%s$ %s\n", pods[2].name, output.Stdout)
		if exit := (*lab.ExitError)(nil); !errors.As(err, &exit) {
			return fmt.Errorf("%s reaches testpmd across VLANs, or cannot try: %w", pods[2].name, err)
		}
		return nil
	})
}

// counting has testpmd receive and answer so many frames while something is done, no more and no less. Kernels now and
// then ask by themselves whether a neighbour is still there: another try tells that from what comes each time.
func (d *demo) counting(ctx context.Context, wanted uint64, do func() error) error {
	var received, sent uint64
	for range 3 {
		before, err := d.counted(ctx)
		if err != nil {
			return err
		}
		if err := do(); err != nil {
			return err
		}
		now, err := d.counted(ctx)
		if err != nil {
			return err
		}
		received, sent = now.RXPackets-before.RXPackets, now.TXPackets-before.TXPackets
		if received == wanted && sent == wanted {
			return nil
		}
	}
	return fmt.Errorf("testpmd received %d frames and sent %d meanwhile, not %d", received, sent, wanted)
}

// counted is what testpmd's VF has counted by now. The reading after the next one began after this was asked for.
func (d *demo) counted(ctx context.Context) (testpmd.Counters, error) {
	report, err := d.testpmd.Report(ctx)
	if err != nil {
		return testpmd.Counters{}, err
	}
	port, err := d.testpmd.Until(ctx, 30*time.Second, 0, func(port testpmd.Port) bool {
		return port.Readings >= report.Ports[0].Readings+2
	})
	if err != nil {
		return testpmd.Counters{}, err
	}
	fmt.Printf("testpmd has received %d frames and sent %d.\n", port.NIC.RXPackets, port.NIC.TXPackets)
	return port.NIC, nil
}
