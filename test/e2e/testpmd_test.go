package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
	"github.com/nri-sriov/nri-sriov/test/e2e/testpmd"
)

// drive starts a testpmd in a sandbox, asking again while the gate says that the work goes on, as the kubelet does.
func (s *subject) drive(sandbox string, o testpmd.Options) *testpmd.Program {
	s.T.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		program, err := testpmd.Start(s.T.Context(), s.Guest, s.cri, sandbox, o)
		if err == nil {
			return program
		}
		if !strings.Contains(err.Error(), "the container is tried again") || time.Now().After(deadline) {
			s.T.Fatal(err)
		}
	}
}

// counted pings an address n times and answers by how much testpmd's counters grew meanwhile.
func (s *subject) counted(from, address string, n int, program *testpmd.Program) (received, sent int) {
	s.T.Helper()
	ctx := s.T.Context()
	before, err := program.Report(ctx)
	s.must(err)
	_, _ = s.cri.Exec(ctx, from, "ping", "-c", fmt.Sprint(n), "-W", "1", "-i", "0.2", address) // the counters are looked at
	time.Sleep(1500 * time.Millisecond)                                                        // they are printed each second
	after, err := program.Report(ctx)
	s.must(err)
	a, b := before.Ports[0].NIC, after.Ports[0].NIC
	return int(b.RXPackets - a.RXPackets), int(b.TXPackets - a.TXPackets)
}

// unprivileged: testpmd runs as an ordinary user without any capability, drives its VF with the MAC that the PF set, and
// exchanges counted packets with a network interface of the same VLAN; with one of another VLAN it exchanges none.
func unprivileged(s *subject) {
	sandbox, err := s.pod("fast", `[{network: fast, mac: "02:00:00:00:00:11"}]`)
	s.must(err)
	program := s.drive(sandbox, testpmd.Options{Devices: []string{"$PCIDEVICE_SRIOV_NRI_IO_FAST"}, Mode: testpmd.Echo})
	report, err := program.Report(s.T.Context())
	s.must(err)
	if mac := report.Ports[0].MAC; mac != "02:00:00:00:00:11" {
		s.T.Errorf("testpmd has MAC %s", mac)
	}
	status, err := s.cri.ContainerStatus(s.T.Context(), program.ContainerID())
	s.must(err)
	process := s.shell("grep -E '^(Uid|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs)' /proc/%[1]d/status; grep 'locked memory' /proc/%[1]d/limits", status.PID)
	for _, part := range []string{"Uid:\t1000\t1000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(process, part) {
			s.T.Errorf("testpmd runs with\n%s\nwithout %q", process, part)
		}
	}
	if !strings.Contains(strings.Join(strings.Fields(process), " "), "Max locked memory unlimited unlimited") {
		s.T.Errorf("its limit of locked memory: %s", process)
	}
	nodes := s.exec(program.ContainerID(), "/bin/sh", "-c", "cd /dev/vfio && stat -c '%n %a %u %g' *")
	networks := s.networks(program.ContainerID())
	owned := "600 1000 1000"
	if !s.ContainerdVersion().AtLeast(2, 3) { // it does not tell the container's user
		owned = "666 0 0"
	}
	if want := fmt.Sprintf("%d %[2]s\nvfio %[2]s", networks[0].IOMMUGroup, owned); nodes != want {
		s.T.Errorf("its nodes are\n%s\nwanted\n%s", nodes, want)
	}

	_, peer := s.mustPod("peer", `[{network: public, ips: ["192.0.2.11/24"]}]`)
	_, stranger := s.mustPod("stranger", `[{network: other, ips: ["192.0.2.12/24"]}]`)
	s.pings(peer, "192.0.2.99") // whatever the address is, testpmd answers
	if received, sent := s.counted(peer, "192.0.2.99", 5, program); received < 5 || sent < 5 || received > 12 {
		s.T.Errorf("of 5 pings testpmd received %d packets and sent %d", received, sent)
	}
	s.silent(stranger, "192.0.2.98")
	if received, sent := s.counted(stranger, "192.0.2.98", 5, program); received != 0 || sent != 0 {
		s.T.Errorf("across VLANs testpmd received %d packets and sent %d", received, sent)
	}
}

// killed: a testpmd is killed with -9, and its VF goes to a pod as a network interface with another MAC.
func killed(s *subject) {
	s.config = strings.Replace(dpdkConfig, "{pf: pf1,", `{pf: pf1, vfs: "0",`, 1) // so that the next pod gets the same VF
	s.restartWith()
	sandbox, err := s.pod("fast", `[{network: cold, mac: "02:00:00:00:00:11"}]`)
	s.must(err)
	program := s.drive(sandbox, testpmd.Options{Devices: []string{"$PCIDEVICE_SRIOV_NRI_IO_COLD"}})
	before := s.networks(program.ContainerID())[0]
	s.must(program.Kill(s.T.Context()))
	s.removeAll()
	_, container := s.mustPod("next", `[{network: public, mac: "02:00:00:00:00:22", ips: ["192.0.2.20/24"]}]`)
	if now := s.networks(container)[0]; now.PCIAddress != before.PCIAddress || now.Device != "netdev" || now.Driver != "igbvf" {
		s.T.Errorf("testpmd had %+v, the next pod has %+v", before, now)
	}
	if mac := s.exec(container, "cat", "/sys/class/net/net1/address"); mac != "02:00:00:00:00:22" {
		s.T.Errorf("the next pod has MAC %s", mac)
	}
	_, peer := s.mustPod("peer", `[{network: woken, ips: ["192.0.2.11/24"]}]`)
	s.pings(container, "192.0.2.11")
	if neighbours := s.exec(peer, "ip", "neigh"); !strings.Contains(neighbours, "02:00:00:00:00:22") {
		s.T.Errorf("the peer knows it as %s", neighbours)
	}
	s.removeAll()
	s.config = dpdkConfig // the others are to be looked at, too
	s.restartWith()
	s.tell(tally{rows: "31,32", injected: 1})
}

// twoContainers: each container of a pod has its own VF, and cannot open the other's.
func twoContainers(s *subject) {
	sandbox, err := s.pod("pair", `[{network: fast, containers: [left]}, {network: fast, containers: [right]}]`)
	s.must(err)
	var programs []*testpmd.Program
	for _, name := range []string{"left", "right"} {
		programs = append(programs, s.drive(sandbox, testpmd.Options{
			Devices: []string{"$PCIDEVICE_SRIOV_NRI_IO_FAST"}, Container: lab.Container{Name: name},
		}))
	}
	third := s.container(sandbox, "third")
	left, right := s.networks(programs[0].ContainerID()), s.networks(programs[1].ContainerID())
	if len(left) != 1 || len(right) != 1 || left[0].PCIAddress == right[0].PCIAddress {
		s.T.Fatalf("left has %+v, right has %+v", left, right)
	}
	if networks := s.networks(third); len(networks) != 0 {
		s.T.Errorf("the third container is told of %+v", networks)
	}
	for i, other := range []int{right[0].IOMMUGroup, left[0].IOMMUGroup} {
		container := programs[i].ContainerID()
		if nodes := strings.Fields(s.exec(container, "ls", "/dev/vfio")); slices.Contains(nodes, fmt.Sprint(other)) {
			s.T.Errorf("a container has the other's node: %v", nodes)
		}
	}
	if output, err := s.cri.Exec(s.T.Context(), third, "ls", "/dev/vfio"); err == nil {
		s.T.Errorf("the third container has nodes: %s", output.Stdout)
	}
	// A container that is root and makes the node itself may still not open it: the cgroup has no rule for it.
	number := s.shell("stat -c '0x%%t 0x%%T' /dev/vfio/%d", right[0].IOMMUGroup)
	major, minor, _ := strings.Cut(number, " ")
	output, err := s.cri.Exec(s.T.Context(), third, "/bin/sh", "-c",
		fmt.Sprintf("mknod /tmp/node c $((%s)) $((%s)) && exec 3<>/tmp/node", major, minor))
	if err == nil || !strings.Contains(output.Stderr, "not permitted") {
		s.T.Errorf("a container opens a node that it made itself: %v, %s", err, output.Stderr)
	}
}

// sevenAtOnce: all VFs of the warm pool are driven at the same time.
func sevenAtOnce(s *subject) {
	var all sync.WaitGroup
	programs := make([]*testpmd.Program, 7)
	for i := range programs {
		sandbox, err := s.pod(fmt.Sprint("pod", i), "fast")
		s.must(err)
		all.Go(func() {
			programs[i] = s.drive(sandbox, testpmd.Options{Devices: []string{"$PCIDEVICE_SRIOV_NRI_IO_FAST"}, Container: lab.Container{Name: fmt.Sprint("testpmd", i)}})
		})
	}
	all.Wait()
	macs := map[string]bool{}
	for _, program := range programs {
		if program == nil {
			return // it has failed already
		}
		report, err := program.Report(s.T.Context())
		s.must(err)
		macs[report.Ports[0].MAC] = true
	}
	if len(macs) != 7 {
		s.T.Errorf("the ports' addresses are %v", macs)
	}
	err := s.askFor("late", "fast")
	s.refused(err, `nri-sriov: pod prod/late: network "fast": no VF free: pf0 7 of 7 in use; pf1 lacks CUSTOM_WARM`)
}

// held: a process of the host has the VF open when its pod ends. The VF is not given to anybody, the process is named,
// and once it lets go the VF is free.
func held(s *subject) {
	_, container := s.mustPod("fast", "cold")
	group := s.networks(container)[0].IOMMUGroup
	holder := strings.TrimSpace(s.shell("sleep 1000 3<>/dev/vfio/%d >/dev/null 2>&1 & echo $!", group))
	s.removeAll()
	s.must(lab.Eventually(s.T.Context(), time.Minute, func(ctx context.Context) error {
		tree, err := s.Inventory(ctx)
		if err != nil {
			return err
		}
		for _, provider := range tree.Providers {
			for _, one := range provider.VFs {
				if one.State == "releasing" && strings.Contains(one.Reason, "sleep (pid "+holder+") holds /dev/vfio/") {
					return nil
				}
			}
		}
		return fmt.Errorf("no VF is said to be held: %+v", tree)
	}))
	if got := s.drivers("pf1"); got != "6 igbvf\n1 vfio-pci" {
		s.T.Errorf("the VFs of the PF are %q", got)
	}
	s.mustPod("other", "public") // the PF's worker serves on
	s.removeAll()
	s.shell("kill -KILL %s", holder)
	s.clean()
}
