package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/test/e2e/daemon"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// settingsConfig has a network for each way of setting a VF up, and for what igb refuses.
const settingsConfig = `apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
networks:
  - {name: all, vlan: {id: 100, qos: 3}, spoofCheck: false, trust: true, maxTxRate: 100, mtu: 1400, allow: [mac]}
  - {name: linkdown, vlan: {id: 300}, linkState: disable}
  - {name: qinq, vlan: {id: 300, protocol: 802.1ad}}
  - {name: jumbo, mtu: 9000}
  - {name: leased, ipam: {type: host-local, subnet: 192.0.2.0/24, rangeStart: 192.0.2.100, rangeEnd: 192.0.2.101, routes: [{dst: 198.51.100.0/24}]}, allow: [ips]}
  - {name: missing, ipam: {type: no-such-plugin}}
  - {name: hanging, ipam: {type: hanging}}
  - {name: garbage, ipam: {type: garbage}}
  - {name: nic, resourceClass: SRIOV_NET_PF, required: [CUSTOM_RIGHT], allow: [mac, ips]}
  - {name: plain, allow: [mac, ips], cniVersion: "0.4.0"}
providers:
  - {pf: pf0, traits: [CUSTOM_LEFT]}
  - {pf: pf1, traits: [CUSTOM_RIGHT]}
`

// TestSettings is what can be done to a VF, one guest and one containerd for all cases and a fresh daemon for each.
func TestSettings(t *testing.T) {
	t.Parallel()
	all := boot(t, lab.Options{}).runtime(t, lab.ContainerdOptions{})
	for _, test := range []struct {
		name string
		run  func(*subject)
	}{
		{"EverySetting", everySetting}, {"Refused", refusedByTheDriver}, {"Names", namesAndModes}, {"NameTaken", nameTaken}, {"IPAM", ipamPlugin},
		{"BrokenIPAM", brokenIPAM}, {"WholePF", wholePF}, {"Drift", drift}, {"Random", randomSettings}, {"LostJournal", lostJournal},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &subject{bench: all.bench, T: t, config: settingsConfig}
			s.start()
			test.run(s)
		})
	}
}

// onPF is what the PF has set for a VF, as `ip link` says it.
func (s *subject) onPF(pf string, vf int) string {
	s.T.Helper()
	line := s.shell("ip link show %s | grep -o 'vf %d .*'", pf, vf)
	return strings.Join(strings.Fields(line[strings.Index(line, "link/ether"):]), " ")
}

func everySetting(s *subject) {
	_, container := s.mustPod("first", `[{network: all, mac: "02:00:00:00:00:22", required: [CUSTOM_LEFT]}]`)
	one := s.networks(container)[0]
	want := "link/ether 02:00:00:00:00:22 brd ff:ff:ff:ff:ff:ff, vlan 100, qos 3, tx rate 100 (Mbps), max_tx_rate 100Mbps, spoof checking off, link-state auto, trust on"
	if diff := cmp.Diff(want, s.onPF("pf0", one.VFID)); diff != "" {
		s.T.Error(diff)
	}
	if mtu := s.exec(container, "cat", "/sys/class/net/net1/mtu"); mtu != "1400" {
		s.T.Errorf("the MTU in the pod is %s", mtu)
	}
}

// refusedByTheDriver: what igb does not have fails by name, and nothing that came before it stays.
func refusedByTheDriver(s *subject) {
	for network, sentence := range map[string]string{
		"linkdown": "set linkState of VF", "qinq": "set vlan of VF", "jumbo": "the network has MTU 9000, its PF pf",
	} {
		sandbox, err := s.pod(network, network)
		s.must(err)
		_, err = s.tryContainer(sandbox, "app")
		s.refused(err, sentence)
		s.clean()
	}
	s.tell(tally{rows: "26", injected: 3})
}

// namesAndModes: alternative names and modes neither come into the pod nor out of it, the host's come back.
func namesAndModes(s *subject) {
	s.shell("for vf in pf0v{0..6}; do ip link property add dev $vf altname alt-$vf; ip link set $vf promisc on; done")
	defer s.shell("for vf in pf0v{0..6}; do ip link property del dev $vf altname alt-$vf; done")
	s.shell("for vf in pf0v{1..6}; do ip link set $vf promisc off; done")
	sandbox, container := s.mustPod("first", `[{network: plain, required: [CUSTOM_LEFT]}]`)
	status, err := s.cri.PodStatus(s.T.Context(), sandbox)
	s.must(err)
	link := s.shell("ip -n %s -d link show net1", netnsName(status.NetNS))
	if strings.Contains(link, "altname") || strings.Contains(link, "PROMISC") {
		s.T.Errorf("the VF in the pod: %s", link)
	}
	one := s.networks(container)[0]
	s.shell("ip netns exec %[1]s sh -c 'ip link property add dev net1 altname tenant; ip link set net1 promisc on allmulticast on mtu 1300; ip addr add 203.0.113.1/24 dev net1; ip link set net1 down; ip link set net1 name mine'", netnsName(status.NetNS))
	s.removeAll()
	if _, err := s.AllFree(s.ctx()); err != nil {
		s.T.Fatal(err)
	}
	home := s.shell("ip -d link show pf0v%d; ip addr show pf0v%d", one.VFID, one.VFID)
	if !strings.Contains(home, fmt.Sprintf("altname alt-pf0v%d", one.VFID)) || strings.Contains(home, "tenant") || strings.Contains(home, "PROMISC") ||
		strings.Contains(home, "203.0.113.1") || !strings.Contains(home, "mtu 1500") || strings.Contains(home, "alias") {
		s.T.Errorf("the VF after its pod: %s", home)
	}
	if ra := s.shell("cat /proc/sys/net/ipv6/conf/pf0v%d/accept_ra", one.VFID); ra != "0" {
		s.T.Errorf("the VF listens to routers in the host: accept_ra is %s", ra)
	}
}

// nameTaken: something in the host takes the VF's name while the VF is away. The VF comes home under another, is not given
// out meanwhile, and has its own name as soon as that is free.
func nameTaken(s *subject) {
	sandbox, container := s.mustPod("first", `[{network: plain, required: [CUSTOM_LEFT]}]`)
	one := s.networks(container)[0]
	s.shell("ip link add pf0v%d type veth peer name thief", one.VFID)
	s.remove(sandbox)
	s.pods = nil
	s.must(lab.Eventually(s.T.Context(), time.Minute, func(ctx context.Context) error {
		output, err := s.CLI(ctx, "inventory")
		if err == nil && !strings.Contains(output.Stdout, "interface name is taken") {
			err = fmt.Errorf("the inventory does not tell of the name\n%s", output.Stdout)
		}
		return err
	}))
	if name := s.shell("ls /sys/bus/pci/devices/%s/net", one.PCIAddress); !strings.HasPrefix(name, "v0000") {
		s.T.Errorf("the VF came home as %s", name)
	}
	s.shell("ip link del thief")
	begun := time.Now()
	_, err := s.AllFree(s.ctx())
	s.must(err)
	s.tell(tally{rows: "12", injected: 1, converge: time.Since(begun)})
}

// wholePF: the NIC itself, while none of its VFs is in use.
func wholePF(s *subject) {
	vf, err := s.pod("vf", `[{network: plain, required: [CUSTOM_RIGHT]}]`)
	s.must(err)
	err = s.askFor("nic", "nic")
	s.refused(err, `network "nic": no VF free: pf0 lacks CUSTOM_RIGHT; pf1 has VF 0 in use`)
	s.remove(vf)
	s.pods = nil
	if _, err := s.AllFree(s.ctx()); err != nil {
		s.T.Fatal(err)
	}
	before := s.shell("ip link show pf1")
	sandbox, container := s.mustPod("nic", `[{network: nic, name: wan, ips: ["192.0.2.20/24"]}]`)
	_, other := s.mustPod("other", `[{network: plain, ips: ["192.0.2.21/24"], required: [CUSTOM_LEFT]}]`)
	s.pings(other, "192.0.2.20")
	if one := s.networks(container)[0]; one.VFID != -1 || one.PCIAddress != "0000:02:00.0" || one.Interface != "wan" {
		s.T.Errorf("networks.json: %+v", one)
	}
	err = s.askFor("late", `[{network: plain, required: [CUSTOM_RIGHT]}]`)
	s.refused(err, "pf1 is in use as a whole")
	// A restart finds the PF in the pod, and brings it back with its VFs to give.
	s.must(s.Daemon.Kill(s.T.Context()))
	s.must(s.Daemon.Start(s.T.Context()))
	s.attached(2)
	s.remove(sandbox)
	s.pods = s.pods[1:]
	s.must(lab.Eventually(s.T.Context(), time.Minute, func(ctx context.Context) error {
		output, err := s.Guest.Shell(ctx, "ip link show pf1")
		if now := strings.TrimSpace(output.Stdout); err == nil && now != before {
			err = fmt.Errorf("the PF is not as before\n%s\n%s", cmp.Diff(before, now), now)
		}
		return err
	}))
	s.mustPod("again", `[{network: plain, required: [CUSTOM_RIGHT]}]`)
}

// drift: what somebody changes behind the daemon's back is found.
func drift(s *subject) {
	sandbox, container := s.mustPod("first", `[{network: all, mac: "02:00:00:00:00:22", required: [CUSTOM_LEFT]}]`)
	output, err := s.CLI(s.T.Context(), "check", "--live")
	if err != nil || !strings.Contains(output.Stdout, "1 attachments compared with the kernel, 0 differ.") {
		s.T.Fatalf("before: %v\n%s", err, output.Stdout)
	}
	one := s.networks(container)[0]
	status, err := s.cri.PodStatus(s.T.Context(), sandbox)
	s.must(err)
	for _, c := range []struct{ change, undo, sentence string }{
		{fmt.Sprintf("ip link set pf0 vf %d vlan 7", one.VFID), fmt.Sprintf("ip link set pf0 vf %d vlan 100 qos 3", one.VFID), "changed on the PF: [vlan]"},
		{"ip -n %[1]s link set net1 down; ip -n %[1]s link set net1 name other", "ip -n %[1]s link set other name net1 && ip -n %[1]s link set net1 up", "renamed: net1 is called other"},
		{"ip -n %[1]s link set net1 netns 1", "", "wrong namespace: it is in the host"},
	} {
		netns := netnsName(status.NetNS)
		s.shell("%s", strings.ReplaceAll(c.change, "%[1]s", netns))
		output, err := s.CLI(s.T.Context(), "check", "--live")
		if err == nil || !strings.Contains(output.Stdout, c.sentence) {
			s.T.Errorf("after %q: %v\n%s", c.change, err, output.Stdout)
		}
		if metric := s.shell("busybox wget -q -O - http://127.0.0.1:9808/metrics | grep ^nri_sriov_drifted"); metric != "nri_sriov_drifted_attachments 1" {
			s.T.Errorf("the metric is %q", metric)
		}
		s.shell("%s", strings.ReplaceAll("true; "+c.undo, "%[1]s", netns))
	}
}

// randomSettings: whatever valid settings a network has, and whatever the driver makes of them, the VFs end up clean.
func randomSettings(s *subject) {
	const networks = 4
	random := rand.New(rand.NewPCG(1, 2))
	text := "apiVersion: sriov.nri.io/v1alpha1\nkind: NodeConfig\nnetworks:\n"
	for i := range networks {
		vlan := random.IntN(4095)
		one := map[string]any{
			"name": fmt.Sprint("n", i), "spoofCheck": random.IntN(2) == 0, "trust": random.IntN(2) == 0, "maxTxRate": random.IntN(3) * 50,
			"linkState": []string{"auto", "auto", "enable", "disable"}[random.IntN(4)], "mtu": 1280 + random.IntN(3)*100, "allow": []string{"mac"},
			"vlan": map[string]any{"id": vlan, "qos": random.IntN(8) * min(vlan, 1)},
		}
		line, err := json.Marshal(one)
		s.must(err)
		text += "  - " + string(line) + "\n"
	}
	_, err := s.Daemon.Stop(s.T.Context())
	s.must(err)
	s.must(s.Configure(s.T.Context(), text))
	s.must(s.Daemon.Start(s.T.Context()))
	attached := 0
	for i := range networks {
		sandbox, err := s.pod(fmt.Sprint("pod", i), fmt.Sprintf(`[{network: n%d, mac: "02:00:00:00:01:%02x"}, {network: n%d}]`, i, i, (i+1)%networks))
		s.must(err)
		if _, err := s.tryContainer(sandbox, "app"); err == nil {
			attached++
		} else {
			s.refused(err, "linkState")
		}
	}
	s.T.Logf("%d of %d pods attached\n%s", attached, networks, text)
	s.removeAll()
	s.clean()
	s.tell(tally{rows: "31", injected: networks})
}

// lostJournal: the daemon is killed and its journal is lost. Pods keep their VFs; what comes home meanwhile is known by
// its mark.
func lostJournal(s *subject) {
	_, container := s.mustPod("first", `[{network: all, mac: "02:00:00:00:00:33"}]`)
	s.mustPod("second", "plain")
	s.must(s.Daemon.Kill(s.T.Context()))
	s.shell("rm -rf /var/lib/nri-sriov/sandboxes %s", daemon.Results)
	// While the pods live their VFs are theirs, by the marks.
	s.must(s.Daemon.Start(s.T.Context()))
	s.attached(2)
	if mac := s.exec(container, "cat", "/sys/class/net/net1/address"); mac != "02:00:00:00:00:33" {
		s.T.Errorf("the pod's MAC after the loss is %s", mac)
	}
	s.must(s.Daemon.Kill(s.T.Context()))
	s.shell("rm -rf /var/lib/nri-sriov/sandboxes %s", daemon.Results)
	s.removeAll()
	s.must(s.Daemon.Start(s.T.Context()))
	s.clean()
}
