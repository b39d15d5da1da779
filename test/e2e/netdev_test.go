package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nri-sriov/nri-sriov/test/e2e/daemon"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// TestNetdev is the path of a netdev VF, with one guest and one containerd for all cases and a fresh daemon for each.
func TestNetdev(t *testing.T) {
	t.Parallel()
	all := boot(t, lab.Options{}).runtime(t, lab.ContainerdOptions{})
	for name, test := range map[string]func(*subject){
		"TwoPodsPing": twoPodsPing, "VLANsIsolate": vlansIsolate, "AllVFsAtOnce": allVFsAtOnce, "NoAnnotation": noAnnotation,
		"NameCollision": nameCollision, "Refusals": refusals, "Settings": settings, "Containers": containersSeeTheirOwn,
	} {
		t.Run(name, func(t *testing.T) {
			s := &subject{bench: all.bench, T: t}
			s.start()
			test(s)
		})
	}
}

// twoPodsPing: VFs of different PFs, in one VLAN, with addresses of the pods' choice.
func twoPodsPing(s *subject) {
	sandbox, first := s.mustPod("first", `[{network: public, ips: ["192.0.2.10/24", "2001:db8::10/64"], required: [CUSTOM_LEFT]}]`)
	_, second := s.mustPod("second", `[{network: public, ips: ["192.0.2.11/24", "2001:db8::11/64"], required: [CUSTOM_RIGHT]}]`)
	s.pings(first, "192.0.2.11")
	s.pings(second, "192.0.2.10")
	s.pings(first, "2001:db8::11")
	networks := s.networks(first)
	if len(networks) != 1 || networks[0].Interface != "net1" || networks[0].PF != "pf0" || networks[0].VLAN.ID != 100 {
		s.T.Errorf("networks.json: %+v", networks)
	}
	if env := s.exec(first, "env"); !strings.Contains(env, "PCIDEVICE_SRIOV_NRI_IO_PUBLIC="+networks[0].PCIAddress) ||
		!strings.Contains(env, "NRI_SRIOV_NETWORKS=/run/nri-sriov/networks.json") {
		s.T.Errorf("the container's environment: %s", env)
	}
	mac := s.exec(first, "cat", "/sys/class/net/net1/address")
	var result struct {
		CNIVersion string
		Interfaces []struct{ Name, MAC, Sandbox, PCIID string }
		IPs        []struct{ Address string }
	}
	s.must(json.Unmarshal([]byte(s.shell("cat %s/%s/net1.json", daemon.Results, sandbox)), &result))
	if len(result.Interfaces) != 1 || result.Interfaces[0].MAC != mac || result.Interfaces[0].PCIID != networks[0].PCIAddress ||
		!strings.HasPrefix(result.Interfaces[0].Sandbox, "/var/run/netns/") || len(result.IPs) != 2 || result.CNIVersion != "1.1.0" {
		s.T.Errorf("the CNI result is %+v", result)
	}
	pods, err := s.Pods(s.T.Context())
	s.must(err)
	if len(pods.Pods) != 2 || pods.Pods[0].Name != "first" || pods.Pods[0].Attachments[0].State != "attached" {
		s.T.Errorf("pods: %+v", pods)
	}
}

// network is one attachment in networks.json, by the contract.
type network struct {
	Network, Interface, PCIAddress, PF, Device, Driver, MAC string
	VFToken                                                 string
	DeviceNodes                                             []string
	VFID, MTU, NUMANode, IOMMUGroup                         int
	VLAN                                                    struct{ ID int }
	IPs                                                     []string
	Result                                                  json.RawMessage
}

func (s *subject) networks(container string) []network {
	s.T.Helper()
	var content struct{ Networks []network }
	s.must(json.Unmarshal([]byte(s.exec(container, "cat", "/run/nri-sriov/networks.json")), &content))
	return content.Networks
}

func vlansIsolate(s *subject) {
	_, first := s.mustPod("first", `[{network: public, ips: ["192.0.2.10/24"], required: [CUSTOM_LEFT]}]`)
	_, second := s.mustPod("second", `[{network: public, ips: ["192.0.2.11/24"], required: [CUSTOM_RIGHT]}]`)
	_, third := s.mustPod("third", `[{network: other, ips: ["192.0.2.12/24"], required: [CUSTOM_RIGHT]}]`)
	s.pings(first, "192.0.2.11")
	s.silent(third, "192.0.2.10")
	s.silent(third, "192.0.2.11")
	s.silent(second, "192.0.2.12")
}

// allVFsAtOnce: 14 pods have the 14 VFs, and the 15th is refused with the sentence of the contract.
func allVFsAtOnce(s *subject) {
	var all sync.WaitGroup
	sandboxes := make([]string, 14)
	for i := range sandboxes {
		all.Go(func() {
			id, err := s.cri.RunPod(s.T.Context(), lab.Pod{
				Name: fmt.Sprint("pod", i), Namespace: "prod", Annotations: map[string]string{"sriov.nri.io/networks": "public"},
			})
			if err == nil {
				sandboxes[i] = id
				_, err = s.tryContainer(id, "app")
			}
			if err != nil {
				s.T.Error(err)
			}
		})
	}
	all.Wait()
	s.pods = append(s.pods, sandboxes...)
	if s.T.Failed() {
		return
	}
	err := s.askFor("late", "public")
	s.refused(err, `nri-sriov: pod prod/late: network "public": no VF free: pf0 7 of 7 in use; pf1 7 of 7 in use`)
	s.remove(s.pods[0])
	s.pods = s.pods[1:]
	// The VF may still be in release: then the pod waits for it at the gate.
	s.mustPod("late", "public")
}

func noAnnotation(s *subject) {
	_, container := s.mustPod("plain", "")
	if env := s.exec(container, "env"); strings.Contains(env, "SRIOV") {
		s.T.Errorf("the environment of a pod that asked for nothing: %s", env)
	}
	if links := s.exec(container, "ls", "/sys/class/net"); links != "eth0\nlo" {
		s.T.Errorf("interfaces of a pod that asked for nothing: %q", links)
	}
	if now := s.state(); now != s.before {
		s.T.Errorf("the VFs changed\n%s", now)
	}
}

// nameCollision: something in the pod has the name already. The container is refused with the reason, and the VF comes
// back clean while the sandbox lives on.
func nameCollision(s *subject) {
	s.must(s.Daemon.Kill(s.T.Context())) // so that the name can be taken before the VF comes
	sandbox, err := s.pod("first", "public@taken0")
	s.must(err)
	status, err := s.cri.PodStatus(s.T.Context(), sandbox)
	s.must(err)
	s.shell("ip -n %s link add taken0 type veth peer name other0", netnsName(status.NetNS))
	s.must(s.Daemon.Start(s.T.Context()))
	_, err = s.tryContainer(sandbox, "app")
	s.refused(err, `nri-sriov: pod prod/first: network "public": attach`)
	s.refused(err, `the pod already has an interface "taken0": choose another name in the annotation`)
	s.clean()
	s.tell(tally{rows: "13", injected: 1})
}

func netnsName(path string) string { return path[strings.LastIndex(path, "/")+1:] }

// refusals: bad requests fail the pod with one clear sentence, and change nothing. pkg/hooks tests many more of them,
// through a runtime in the same process.
func refusals(s *subject) {
	var all sync.WaitGroup
	turns := make(chan struct{}, 3) // more at once gain nothing on two CPUs
	for i, c := range []struct{ networks, sentence string }{
		{`[{network: public`, "not YAML"},
		{`[{network: public, vlan: 5}]`, `"vlan"`},
		{`none`, `network "none": the node does not define it`},
		{`private`, `network "private": namespace "prod" may not use it`},
		{`public@a/b`, "a/b"},
		{`[{network: other, mac: "02:00:00:00:00:01"}]`, `lacks "mac"`},
		{`[{network: public, count: 8}]`, "pf0 offers 7 of the 8 VFs that one PF must serve"},
		{"[" + strings.Repeat(" ", 20<<10) + "]", "16384"},
	} {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			err := s.ask(lab.Pod{
				Name: fmt.Sprint("bad", i), Namespace: "prod", Annotations: map[string]string{"sriov.nri.io/networks": c.networks},
			})
			s.refused(err, fmt.Sprintf("nri-sriov: pod prod/bad%d: ", i))
			s.refused(err, c.sentence)
		})
	}
	all.Wait()
	err := s.ask(lab.Pod{Name: "host", Namespace: "prod", HostNetwork: true, Annotations: map[string]string{"sriov.nri.io/networks": "public"}})
	s.refused(err, "a host-network pod has no network namespace")
	tree, err := s.Inventory(s.T.Context())
	s.must(err)
	for _, provider := range tree.Providers {
		if used := provider.Inventories["SRIOV_NET_VF"].Used; used != 0 {
			s.T.Errorf("%s: %d VFs are in use after refusals", provider.Name, used)
		}
	}
	if now := s.state(); now != s.before {
		s.T.Errorf("the VFs changed\n%s", now)
	}
}

// settings: what the PF holds for a VF while a pod has it, and what the pod sees.
func settings(s *subject) {
	_, container := s.mustPod("first", `[{network: public, mac: "02:00:00:00:00:11", required: [CUSTOM_LEFT]}, {network: fixed, name: fix0, required: [CUSTOM_RIGHT]}]`)
	networks := s.networks(container)
	pf := s.shell("ip link show pf0 | grep -E 'vf %d '", networks[0].VFID)
	for _, part := range []string{"02:00:00:00:00:11", "vlan 100", "spoof checking on", "trust off"} {
		if !strings.Contains(pf, part) {
			s.T.Errorf("the PF says %q, without %q", pf, part)
		}
	}
	if mac := s.exec(container, "cat", "/sys/class/net/net1/address"); mac != "02:00:00:00:00:11" || networks[0].MAC != mac {
		s.T.Errorf("the pod's MAC is %s, networks.json says %s", mac, networks[0].MAC)
	}
	if mtu := s.exec(container, "cat", "/sys/class/net/fix0/mtu"); mtu != "1400" || networks[1].MTU != 1400 {
		s.T.Errorf("the pod's MTU is %s, networks.json says %d", mtu, networks[1].MTU)
	}
	if got := s.exec(container, "ip", "-o", "addr", "show", "fix0"); !strings.Contains(got, "192.0.2.77/24 brd 192.0.2.255") {
		s.T.Errorf("the pod's addresses: %s", got)
	}
	if got := s.exec(container, "ip", "route"); !strings.Contains(got, "198.51.100.0/24 via 192.0.2.1 dev fix0") {
		s.T.Errorf("the pod's routes: %s", got)
	}
	if networks[0].NUMANode != -1 && networks[0].NUMANode != 0 || networks[0].IOMMUGroup == 0 || networks[0].Driver != "igbvf" {
		s.T.Errorf("networks.json: %+v", networks[0])
	}
}

// containersSeeTheirOwn: each container is told of what it may use; the file is read-only.
func containersSeeTheirOwn(s *subject) {
	sandbox, err := s.pod("first", `[{network: public, containers: [app]}, {network: plain}]`)
	s.must(err)
	app := s.container(sandbox, "app")
	side := s.container(sandbox, "side")
	if mine, others := s.networks(app), s.networks(side); len(mine) != 2 || len(others) != 1 || others[0].Network != "plain" {
		s.T.Errorf("app sees %+v, side sees %+v", mine, others)
	}
	if output, err := s.cri.Exec(s.T.Context(), app, "sh", "-c", "echo x >/run/nri-sriov/networks.json"); err == nil {
		s.T.Errorf("networks.json can be written: %s", output.Stdout)
	}
}
