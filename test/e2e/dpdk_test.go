package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
	"github.com/nri-sriov/nri-sriov/test/e2e/testpmd"
)

// dpdkConfig has a PF whose free VFs rest in vfio-pci, and one whose VFs rest in their network driver.
const dpdkConfig = `apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
providers:
  - {pf: pf0, driver: vfio-pci, traits: [CUSTOM_WARM]}
  - {pf: pf1, traits: [CUSTOM_COLD]}
networks:
  - name: fast
    device: vfio
    vlan: {id: 100}
    allow: [mac, ips]
    required: [CUSTOM_WARM]
  - name: cold
    device: vfio
    vlan: {id: 100}
    allow: [mac, ips]
    required: [CUSTOM_COLD]
  - name: appliance
    device: vfio
    resourceClass: SRIOV_NET_PF
    required: [CUSTOM_COLD]
  - name: verbs
    rdma: true
    required: [CUSTOM_COLD]
  - name: tap
    vhostNet: true
    required: [CUSTOM_COLD]
  - name: public
    vlan: {id: 100}
    allow: [mac, ips]
    required: [CUSTOM_COLD]
  - name: other
    vlan: {id: 200}
    allow: [ips]
    required: [CUSTOM_COLD]
  - name: woken
    vlan: {id: 100}
    allow: [mac, ips]
    required: [CUSTOM_WARM]
hugepages: /dev/hugepages
`

// TestDPDK is the path of a VF that the pod drives itself, on real vfio behind the emulated IOMMU.
func TestDPDK(t *testing.T) {
	t.Parallel()
	all := boot(t, lab.Options{HugePages: 8 * testpmd.Pages}).runtime(t, lab.ContainerdOptions{})
	for name, test := range map[string]func(*subject){
		"WarmPool": warmPool, "OnDemand": onDemand, "Woken": woken, "Unprivileged": unprivileged, "Killed": killed,
		"TwoContainers": twoContainers, "SevenAtOnce": sevenAtOnce, "Held": held, "HostNetwork": hostNetwork, "WholePF": wholeVFIO, "JournalLost": vfioJournalLost,
		"OtherNodes": otherNodes,
	} {
		t.Run(name, func(t *testing.T) {
			s := &subject{bench: all.bench, T: t, config: dpdkConfig, newVFs: name == "WholePF"}
			s.startWarm()
			test(s)
		})
	}
}

// startWarm is start for a config with a warm pool: the state that the VFs must come back to is the one after the pool
// was bound. With the test the pool is given back to the network driver, by a daemon whose config no longer wants it.
func (s *subject) startWarm() {
	s.T.Helper()
	before := s.state()
	s.T.Cleanup(func() {
		s.must(s.Configure(s.ctx(), nodeConfig))
		s.must(s.Daemon.Start(s.ctx()))
		s.before = before
		s.clean()
		if code, err := s.Daemon.Stop(s.ctx()); err != nil || code != 0 {
			s.T.Errorf("the daemon ends with %d, %v", code, err)
		}
	})
	s.start()
	if _, err := s.AllFree(s.T.Context()); err != nil {
		s.T.Fatal(err)
	}
	s.before = s.state()
}

// drivers counts what the VFs of a PF are bound to.
func (s *subject) drivers(pf string) string {
	s.T.Helper()
	return s.shell(`for vf in /sys/class/net/%s/device/virtfn*; do basename $(readlink $vf/driver || echo none); done | sort | uniq -c | awk '{print $1, $2}'`, pf)
}

// warmPool: the VFs of the pool were bound at the start, a pod gets one, and gives it back.
func warmPool(s *subject) {
	if got := s.drivers("pf0"); got != "7 vfio-pci" {
		s.T.Errorf("the warm pool is %q", got)
	}
	if got := s.drivers("pf1"); got != "7 igbvf" {
		s.T.Errorf("the VFs of the other PF are %q", got)
	}
	output, _ := s.CLI(s.T.Context(), "check") // its exit code is about the whole guest
	for _, line := range []string{"ok       IOMMU: is on", "ok       driver vfio-pci: ", "ok       vfio: /dev/vfio/vfio is there", "ok       huge pages: 2 MiB: "} {
		if !strings.Contains(output.Stdout, line) {
			s.T.Errorf("check says\n%s\nwithout %q", output.Stdout, line)
		}
	}
	_, container := s.mustPod("first", `[{network: fast, mac: "02:00:00:00:00:11"}]`)
	networks := s.networks(container)
	if len(networks) != 1 || networks[0].Device != "vfio" || networks[0].Driver != "vfio-pci" || networks[0].MAC != "02:00:00:00:00:11" || networks[0].VLAN.ID != 100 {
		s.T.Errorf("networks.json: %+v", networks)
	}
	pf := s.shell("ip link show pf0 | grep -E 'vf %d '", networks[0].VFID)
	for _, part := range []string{"02:00:00:00:00:11", "vlan 100", "spoof checking on", "trust off"} {
		if !strings.Contains(pf, part) {
			s.T.Errorf("the PF says %q, without %q", pf, part)
		}
	}
	s.attached(1)
}

// onDemand: a VF of another provider is bound when a pod gets it, and goes back to its network driver under its name.
func onDemand(s *subject) {
	_, container := s.mustPod("first", "cold")
	networks := s.networks(container)
	if len(networks) != 1 || networks[0].Driver != "vfio-pci" || networks[0].MAC == "" {
		s.T.Errorf("networks.json: %+v", networks)
	}
	if got := s.drivers("pf1"); got != "6 igbvf\n1 vfio-pci" {
		s.T.Errorf("the VFs of the PF are %q", got)
	}
	s.removeAll()
	s.clean()
	if got := s.drivers("pf1"); got != "7 igbvf" {
		s.T.Errorf("the VFs of the PF are %q", got)
	}
}

// woken: a VF that rests in vfio-pci is given out as a network interface.
func woken(s *subject) {
	_, first := s.mustPod("first", `[{network: woken, ips: ["192.0.2.10/24"]}]`)
	s.mustPod("second", `[{network: public, ips: ["192.0.2.11/24"]}]`)
	s.pings(first, "192.0.2.11")
	s.removeAll()
	s.must(lab.Eventually(s.T.Context(), time.Minute, func(ctx context.Context) error {
		if got := s.drivers("pf0"); got != "7 vfio-pci" {
			return fmt.Errorf("the warm pool is %q", got)
		}
		return nil
	}))
}

// hostNetwork: a pod of the host's network drives a VF, and its end is noticed also when the runtime does not tell.
func hostNetwork(s *subject) {
	sandbox, err := s.runPod(lab.Pod{Name: "host", Namespace: "prod", HostNetwork: true, Annotations: map[string]string{"sriov.nri.io/networks": "cold"}})
	s.must(err)
	container := s.container(sandbox, "app")
	if networks := s.networks(container); len(networks) != 1 || networks[0].Device != "vfio" {
		s.T.Errorf("networks.json: %+v", networks)
	}
	s.must(s.containerd.Restart(s.T.Context())) // which forgets to tell of the ends of older sandboxes
	s.must(s.Daemon.Ready(s.T.Context()))
	s.attached(1)
	s.removeAll()
	s.clean()
	err = s.ask(lab.Pod{Name: "mixed", Namespace: "prod", HostNetwork: true, Annotations: map[string]string{"sriov.nri.io/networks": "cold, public"}})
	s.refused(err, `network "public": a host-network pod has no network namespace`)
}

// wholeVFIO: a pod drives the PF itself, whose VFs go meanwhile and come back under their names.
func wholeVFIO(s *subject) {
	up := s.shell("cat /sys/class/net/pf1/flags /sys/class/net/pf1/address")
	sandbox, err := s.pod("appliance", "appliance")
	s.must(err)
	program := s.drive(sandbox, testpmd.Options{Devices: []string{"$PCIDEVICE_SRIOV_NRI_IO_APPLIANCE"}})
	networks := s.networks(program.ContainerID())
	report, err := program.Report(s.T.Context())
	s.must(err)
	if len(networks) != 1 || networks[0].VFID != -1 || networks[0].MAC != report.Ports[0].MAC || len(networks[0].VFToken) != 36 {
		s.T.Errorf("networks.json: %+v; testpmd has %s", networks, report.Ports[0].MAC)
	}
	err = s.askFor("other", "public")
	s.refused(err, `network "public": no VF free`)
	s.must(s.Daemon.Kill(s.T.Context()))
	s.must(s.Daemon.Start(s.T.Context()))
	s.attached(1)
	s.removeAll()
	s.must(lab.Eventually(s.T.Context(), time.Minute, func(ctx context.Context) error {
		free, err := s.AllFree(ctx)
		if err == nil && free != 14 {
			err = fmt.Errorf("%d VFs are free, not 14", free)
		}
		return err
	}))
	s.clean()
	if now := s.shell("cat /sys/class/net/pf1/flags /sys/class/net/pf1/address"); now != up {
		s.T.Errorf("the PF was %q and is %q", up, now)
	}
	_, first := s.mustPod("first", `[{network: woken, ips: ["192.0.2.10/24"]}]`)
	s.mustPod("second", `[{network: public, ips: ["192.0.2.11/24"]}]`)
	s.pings(first, "192.0.2.11")
}

// vfioJournalLost: the journal is lost while a pod drives a VF. The VF stays its pod's.
func vfioJournalLost(s *subject) {
	sandbox, err := s.pod("fast", "cold")
	s.must(err)
	program := s.drive(sandbox, testpmd.Options{Devices: []string{"$PCIDEVICE_SRIOV_NRI_IO_COLD"}, Mode: testpmd.Echo})
	before := s.networks(program.ContainerID())[0]
	s.must(s.Daemon.Kill(s.T.Context()))
	s.shell("rm -rf /var/lib/nri-sriov/sandboxes")
	s.must(s.Daemon.Start(s.T.Context()))
	s.attached(1)
	pods, err := s.Pods(s.T.Context())
	s.must(err)
	if got := pods.Pods[0].Attachments[0].PCIAddress; got != before.PCIAddress {
		s.T.Errorf("the pod had %s and has %s", before.PCIAddress, got)
	}
	_, peer := s.mustPod("peer", `[{network: public, ips: ["192.0.2.11/24"]}]`)
	s.pings(peer, "192.0.2.99")

	// Without the copies, too, nobody gets what a process holds.
	s.must(s.Daemon.Kill(s.T.Context()))
	s.shell("rm -rf /var/lib/nri-sriov/sandboxes /run/nri-sriov/sandboxes")
	s.must(s.Daemon.Start(s.T.Context()))
	tree, err := s.Inventory(s.T.Context())
	s.must(err)
	for _, provider := range tree.Providers {
		for _, one := range provider.VFs {
			if one.PCIAddress == before.PCIAddress && one.State == "free" {
				s.T.Errorf("the VF that testpmd drives is offered: %+v", one)
			}
		}
	}
}

// otherNodes: the nodes of vhost-net and tun belong to the container's user, where the runtime tells who that is; a NIC without RDMA is refused by name where
// a network asks for it.
func otherNodes(s *subject) {
	sandbox, err := s.pod("tap", "tap")
	s.must(err)
	container, err := s.cri.Launch(s.T.Context(), sandbox, lab.Container{Name: "app", RunAsUser: 1000, RunAsGroup: 1000, NoCapabilities: true})
	s.must(err)
	nodes := "/dev/vhost-net 600 1000 a:ee\n/dev/net/tun 600 1000 a:c8"
	if !s.ContainerdVersion().AtLeast(2, 3) { // it does not tell the container's user
		nodes = "/dev/vhost-net 666 0 a:ee\n/dev/net/tun 666 0 a:c8"
	}
	if got := s.exec(container, "stat", "-c", "%n %a %u %t:%T", "/dev/vhost-net", "/dev/net/tun"); got != nodes {
		s.T.Errorf("the nodes are %s", got)
	}
	s.exec(container, "/bin/sh", "-c", "exec 3<>/dev/vhost-net 4<>/dev/net/tun")
	if networks := s.networks(container); strings.Join(networks[0].DeviceNodes, " ") != "/dev/vhost-net /dev/net/tun" || networks[0].Device != "netdev" {
		s.T.Errorf("networks.json: %+v", networks)
	}
	sandbox, err = s.pod("verbs", "verbs")
	s.must(err)
	_, err = s.tryContainer(sandbox, "app")
	s.refused(err, `network "verbs": attach`)
	s.refused(err, "rdma")
}
