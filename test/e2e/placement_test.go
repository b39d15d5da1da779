package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// placementConfig has two PFs on one physical network and a third on another.
const placementConfig = `apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
providers:
  - {pf: pf0, traits: [CUSTOM_PHYSNET_PUBLIC], bandwidth: {egress: 1000}}
  - {pf: pf1, traits: [CUSTOM_PHYSNET_PUBLIC, CUSTOM_SLOW]}
  - {pf: pf2, traits: [CUSTOM_PHYSNET_STORAGE]}
networks:
  - name: public
    required: [CUSTOM_PHYSNET_PUBLIC]
    allow: [ips]
  - name: storage
    required: [CUSTOM_PHYSNET_STORAGE]
    allow: [ips]
  - name: metered
    required: [CUSTOM_PHYSNET_PUBLIC]
    forbidden: [CUSTOM_SLOW]
    maxTxRate: 600
  - name: scarce
    maxPerNamespace: 2
`

// TestPlacement is the node as a tree: three PFs of three VFs each on two physical networks.
func TestPlacement(t *testing.T) {
	t.Parallel()
	all := boot(t, lab.Options{NICs: []lab.NIC{{Name: "pf0", Wire: "a"}, {Name: "pf1", Wire: "a"}, {Name: "pf2", Wire: "b"}}, VFs: 3}).
		runtime(t, lab.ContainerdOptions{})
	for name, test := range map[string]func(*subject){
		"PhysicalNetworks": physicalNetworks, "Granular": granular, "Candidates": candidates, "Quotas": quotas,
		"HostsOwn": hostsOwn, "VFsComeAndGo": vfsComeAndGo, "Race": raceForVFs,
	} {
		t.Run(name, func(t *testing.T) {
			s := &subject{bench: all.bench, T: t, config: placementConfig, newVFs: name == "VFsComeAndGo"}
			s.start()
			test(s)
		})
	}
}

// physicalNetworks: a pod on both networks reaches the right neighbours, and none of the other network.
func physicalNetworks(s *subject) {
	_, both := s.mustPod("both", `[{network: public, name: pub0, ips: ["192.0.2.10/24"]}, {network: storage, name: sto0, ips: ["198.51.100.10/24"]}]`)
	networks := s.networks(both)
	if networks[0].PF == "pf2" || networks[1].PF != "pf2" {
		s.T.Errorf("networks.json: %+v", networks)
	}
	s.mustPod("public", fmt.Sprintf(`[{network: public, ips: ["192.0.2.11/24", "198.51.100.11/24"], forbidden: [%s]}]`,
		map[bool]string{true: "CUSTOM_SLOW", false: "HW_NIC_OFFLOAD_GSO"}[networks[0].PF == "pf1"]))
	_, storage := s.mustPod("storage", `[{network: storage, ips: ["198.51.100.12/24"]}]`)
	s.pings(both, "192.0.2.11")
	s.pings(both, "198.51.100.12")
	output, err := s.CLI(s.T.Context(), "inventory")
	s.must(err)
	s.T.Logf("inventory:\n%s", output.Stdout)
	s.silent(storage, "198.51.100.11")
}

// granular: each entry is served by one PF; refusals say why.
func granular(s *subject) {
	_, first := s.mustPod("first", `[{network: public, count: 3}, {network: public, count: 2}]`)
	pfs := map[string]int{}
	for _, one := range s.networks(first) {
		pfs[one.PF]++
	}
	if len(pfs) != 2 || pfs["pf0"]+pfs["pf1"] != 5 || pfs["pf0"] == 0 {
		s.T.Errorf("the entries lie on %v", pfs)
	}
	s.mustPod("second", "public")
	err := s.askFor("third", `[{network: public, count: 2}]`)
	s.refused(err, `network "public": no VF free: pf0 3 of 3 in use; pf1 3 of 3 in use; pf2 lacks CUSTOM_PHYSNET_PUBLIC`)
	s.removeAll()
	s.clean()
	bond := lab.Pod{Name: "bond", Namespace: "prod", Annotations: map[string]string{
		"sriov.nri.io/networks": "public@bond0a, public@bond0b", "sriov.nri.io/group-policy": "isolate",
	}}
	sandbox, err := s.runPod(bond)
	s.must(err)
	if networks := s.networks(s.container(sandbox, "app")); networks[0].PF == networks[1].PF {
		s.T.Errorf("isolated entries share %s", networks[0].PF)
	}
	bond.Name, bond.Annotations["sriov.nri.io/networks"] = "storages", "storage@a, storage@b"
	err = s.ask(bond)
	s.refused(err, "each entry alone could be served, all together could not on different PFs (group-policy isolate)")
	err = s.askFor("typo", `[{network: public, required: [CUSTOM_PHYSNET_PUBLIK]}]`)
	s.refused(err, "unknown trait: neither a PF of this node nor its config has the trait CUSTOM_PHYSNET_PUBLIK")
	s.mustPod("metered", "metered")
	err = s.askFor("metered2", "metered")
	s.refused(err, "pf0 has 400 of 1000 Mbit/s left, 600 wanted")
}

// candidates asks the built program about pods, without and beside the daemon.
func candidates(s *subject) {
	type answer struct {
		Outcome    string
		Count      int
		Candidates []struct {
			Allocations map[string]map[string]int
			Mappings    map[string][]string
		}
		Reasons []string
	}
	ask := func(question string, code int) (a answer) {
		s.T.Helper()
		s.must(s.Guest.WriteFile(s.T.Context(), "/tmp/question", 0o644, []byte(question)))
		output, err := s.CLI(s.T.Context(), "candidates", "-f", "/tmp/question", "-n", "prod")
		if exit := (*lab.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			s.T.Fatal(err)
		}
		if output.Code != code {
			s.T.Errorf("%s\nexits with %d, not %d: %s%s", question, output.Code, code, output.Stdout, output.Stderr)
		}
		if err := json.Unmarshal([]byte(output.Stdout), &a); err != nil {
			s.T.Errorf("%s\ngives %q: %v", question, output.Stdout, err)
		}
		return a
	}
	pod := "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations:\n    sriov.nri.io/networks: '[{network: public, name: data, count: 2}, storage]'\n"
	if a := ask(pod, 0); a.Count != 2 || a.Candidates[0].Mappings["2"][0] != "pf2" || a.Candidates[0].Allocations[a.Candidates[0].Mappings["data"][0]]["SRIOV_NET_VF"] != 2 {
		s.T.Errorf("%+v", a)
	}
	s.mustPod("first", `[{network: public, count: 2}, {network: public, count: 2}]`)
	if a := ask(pod, 1); a.Outcome != "no-candidates" || !strings.Contains(strings.Join(a.Reasons, "\n"), "pf0") {
		s.T.Errorf("%+v", a)
	}
	if a := ask("[{network: public, required: [CUSTOM_TYPO]}]", 2); a.Outcome != "bad-request" || !strings.Contains(strings.Join(a.Reasons, " "), "CUSTOM_TYPO") {
		s.T.Errorf("%+v", a)
	}
	if a := ask(`{"request": {"groups": {"1": {"resources": {"SRIOV_NET_VF": 1}}}}}`, 0); a.Count != 3 {
		s.T.Errorf("%+v", a)
	}
}

// quotas: a namespace has no more than its share, and is not told what others have.
func quotas(s *subject) {
	s.mustPod("first", "scarce, scarce")
	err := s.askFor("second", "scarce")
	s.refused(err, `network "scarce": namespace prod may have 2 VFs of it on this node, has 2, and 1 are wanted`)
	if strings.Contains(fmt.Sprint(err), "first") {
		s.T.Errorf("the refusal names another pod: %v", err)
	}
	_, err = s.runPod(lab.Pod{Name: "other", Namespace: "team", Annotations: map[string]string{"sriov.nri.io/networks": "scarce"}})
	s.must(err)
}

// until waits for what the inventory says of a VF.
func (s *subject) until(address, state, reason string) {
	s.T.Helper()
	s.must(lab.Eventually(s.T.Context(), 30*time.Second, func(ctx context.Context) error {
		tree, err := s.Inventory(ctx)
		if err != nil {
			return err
		}
		for _, provider := range tree.Providers {
			for _, one := range provider.VFs {
				if one.PCIAddress != address {
					continue
				}
				if one.State == state && strings.Contains(one.Reason, reason) {
					return nil
				}
				return fmt.Errorf("%s is %s: %s", address, one.State, one.Reason)
			}
		}
		if state == "" {
			return nil
		}
		return fmt.Errorf("%s is not there", address)
	}))
}

// hostsOwn: what the host takes for itself is never offered, with the reason, and is offered again afterwards: without a
// restart, as soon as the kernel tells.
func hostsOwn(s *subject) {
	address := s.shell("basename $(readlink /sys/class/net/pf2v0/device)")
	s.shell("ip addr add 203.0.113.1/24 dev pf2v0")
	s.until(address, "excluded", "has an address of the host")
	s.shell("ip addr flush dev pf2v0")
	s.until(address, "free", "")
	s.shell("ip link add br0 type bridge && ip link set pf2v0 master br0")
	s.until(address, "excluded", "is a port of a bridge or bond")
	s.shell("ip link del br0")
	s.until(address, "free", "")
	s.shell("ip netns add elsewhere && ip link set pf2v0 netns elsewhere")
	s.until(address, "excluded", "is in another network namespace without our record")
	s.shell("ip netns del elsewhere")
	s.until(address, "free", "")
	s.shell("mkdir -p /var/lib/cni/sriov/pci && ip netns add theirs && printf /var/run/netns/theirs >/var/lib/cni/sriov/pci/%s", address)
	s.shell("ip link set pf2v0 up; ip link set pf2v0 down") // a file tells nobody; the next event does
	s.until(address, "excluded", "sriov-cni")
	s.shell("ip netns del theirs; rm -r /var/lib/cni; ip link set pf2v0 up; ip link set pf2v0 down")
	s.until(address, "free", "")
}

// vfsComeAndGo: VFs that are removed and created by hand, also under a pod, are noticed without a restart.
func vfsComeAndGo(s *subject) {
	address := s.shell("basename $(readlink /sys/class/net/pf2v2/device)")
	s.shell("echo 0 >/sys/class/net/pf2/device/sriov_numvfs")
	s.until(address, "", "")
	err := s.askFor("early", "storage")
	s.refused(err, "pf2 has no VFs (of 7 possible)")
	s.shell("echo 3 >/sys/class/net/pf2/device/sriov_numvfs")
	s.until(address, "free", "")
	sandbox, _ := s.mustPod("late", "storage")
	pods, err := s.Pods(s.T.Context())
	s.must(err)
	taken := pods.Pods[0].Attachments[0].PCIAddress
	s.shell("echo 0 >/sys/class/net/pf2/device/sriov_numvfs")
	s.until(taken, "attached", "is gone")
	s.remove(sandbox)
	s.pods = nil
	s.until(taken, "", "")
	begun := time.Now()
	s.shell("echo 3 >/sys/class/net/pf2/device/sriov_numvfs")
	s.until(address, "free", "")
	s.tell(tally{rows: "22", injected: 1, converge: time.Since(begun)})
}

// raceForVFs: more sandboxes at once than there are VFs. Each VF goes to one, and the others are refused with a sentence.
func raceForVFs(s *subject) {
	var all sync.WaitGroup
	var mutex sync.Mutex
	served := 0
	for i := range 12 {
		all.Go(func() {
			id, err := s.cri.RunPod(s.T.Context(), lab.Pod{
				Name: fmt.Sprint("pod", i), Namespace: "prod", Annotations: map[string]string{"sriov.nri.io/networks": "public"},
			})
			ran := err == nil
			if ran && s.leaksRefused() {
				_, err = s.tryContainer(id, "app")
			}
			mutex.Lock()
			defer mutex.Unlock()
			if ran {
				s.pods = append(s.pods, id)
			}
			if err != nil {
				s.refused(err, `network "public": no VF free: pf0 3 of 3 in use; pf1 3 of 3 in use`)
				return
			}
			served++
		})
	}
	all.Wait()
	if served != 6 {
		s.T.Errorf("%d sandboxes have one of 6 VFs", served)
	}
}
