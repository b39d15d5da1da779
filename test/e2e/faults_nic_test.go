package e2e

import (
	"fmt"
	"strings"
	"time"
)

// hiddenNamespace: a VF lies in a namespace that nobody sees, kept alive by a process of the host. It is in quarantine with
// that reason, never handed out, and free when it comes home.
func hiddenNamespace(s *subject) {
	sandbox, container := s.mustPod("first", `[{network: public, required: [CUSTOM_LEFT]}]`)
	address := s.networks(container)[0].PCIAddress
	status, err := s.cri.PodStatus(s.T.Context(), sandbox)
	s.must(err)
	hider, err := s.Guest.Start(s.T.Context(), "hider", nil, "unshare", "-n", "sleep", "600")
	s.must(err)
	s.within(10*time.Second, func() error {
		_, err := s.Guest.Shell(s.ctx(), fmt.Sprintf("[ $(readlink /proc/%d/ns/net) != $(readlink /proc/1/ns/net) ]", hider.PID()))
		return err
	})
	s.shell("ip -n %s link set net1 netns %d", netnsName(status.NetNS), hider.PID())
	s.remove(sandbox)
	s.pods = nil
	s.until(address, "releasing", "to come home")
	for range 6 { // the PF serves on, with its six others
		s.mustPod("next", `[{network: public, required: [CUSTOM_LEFT]}]`)
	}
	_, err = s.pod("late", `[{network: public, required: [CUSTOM_LEFT]}]`)
	if err == nil { // a request that finds only VFs in release waits for them
		_, err = s.cri.StartIn(s.T.Context(), s.pods[len(s.pods)-1], "app")
	}
	s.refused(err, "release")
	_, err = hider.Kill(s.T.Context())
	s.must(err)
	took := s.within(2*time.Minute, func() error {
		tree, err := s.Inventory(s.ctx())
		if err != nil || notFree(tree) > 7 {
			return fmt.Errorf("%d VFs are not free, %w", notFree(tree), err)
		}
		for _, provider := range tree.Providers {
			for _, one := range provider.VFs {
				if one.PCIAddress == address && one.State == "releasing" {
					return fmt.Errorf("%s is %s: %s", address, one.State, one.Reason)
				}
			}
		}
		return nil
	})
	s.tell(tally{rows: "19", injected: 1, converge: took})
}

// driverUnbound: somebody takes a VF's driver away while a pod has it. It is told as drift, and the VF comes back with its
// driver when the pod ends.
func driverUnbound(s *subject) {
	sandbox, container := s.mustPod("first", "public")
	address := s.networks(container)[0].PCIAddress
	s.shell("echo %s >/sys/bus/pci/devices/%s/driver/unbind", address, address)
	output, err := s.CLI(s.T.Context(), "check", "--live")
	if err == nil || !strings.Contains(output.Stderr+output.Stdout, "neither in the pod nor in the host") {
		s.T.Errorf("check --live says %v\n%s", err, output.Stdout)
	}
	begun := time.Now()
	s.remove(sandbox)
	s.pods = nil
	if _, err := s.AllFree(s.ctx()); err != nil {
		s.T.Error(err)
	}
	s.tell(tally{rows: "20", injected: 1, converge: time.Since(begun)})
}

// linkFlap: a PF loses its carrier, and is lowered and raised, under pods. Nothing is done to their VFs.
func linkFlap(s *subject) {
	_, first := s.mustPod("first", `[{network: public, ips: ["192.0.2.10/24"], required: [CUSTOM_LEFT]}]`)
	_, second := s.mustPod("second", `[{network: public, ips: ["192.0.2.11/24"], required: [CUSTOM_RIGHT]}]`)
	s.pings(first, "192.0.2.11")
	attached := s.state()
	begun := time.Now()
	s.must(s.Guest.SetLink(s.T.Context(), "pf0", false))
	s.silent(second, "192.0.2.10")
	s.must(s.Guest.SetLink(s.T.Context(), "pf0", true))
	s.pings(second, "192.0.2.10")
	took := time.Since(begun)
	s.shell("ip link set pf0 down; sleep 1; ip link set pf0 up")
	s.pings(second, "192.0.2.10")
	if now := s.state(); now != attached {
		s.T.Errorf("the PFs have other settings\n--- before\n%s\n--- now\n%s", attached, now)
	}
	s.tell(tally{rows: "21", injected: 2, converge: took, without: s.bare("net1", first, second)})
}

// pfRemoved: a PF is taken out under a pod, and comes back. All that is bounded in time, and the pod's end closes it.
func pfRemoved(s *subject) {
	sandbox, container := s.mustPod("first", `[{network: public, required: [CUSTOM_FOURTH]}]`)
	_, beside := s.mustPod("beside", `[{network: public, required: [CUSTOM_LEFT]}]`)
	address := s.networks(container)[0].PCIAddress
	pf := s.shell("basename $(readlink /sys/class/net/pf3/device)")
	s.shell("echo 1 >/sys/bus/pci/devices/%s/remove", pf)
	s.until(address, "attached", "is gone")
	_, err := s.pod("late", `[{network: public, required: [CUSTOM_FOURTH]}]`)
	s.refused(err, `no VF free`)
	s.remove(sandbox)
	s.pods = s.pods[1:]
	begun := time.Now()
	s.shell(`echo 1 >/sys/bus/pci/rescan; until [ -e /sys/class/net/pf3 ]; do sleep 0.2; done; ip link set pf3 up
until [ "$(cat /sys/class/net/pf3/carrier 2>/dev/null)" = 1 ]; do sleep 0.2; done; echo 7 >/sys/class/net/pf3/device/sriov_numvfs`)
	s.until(address, "free", "")
	took := time.Since(begun)
	_, again := s.mustPod("again", `[{network: public, required: [CUSTOM_FOURTH]}]`)
	s.tell(tally{rows: "23", injected: 1, converge: took, without: s.bare("net1", again, beside)})
}
