package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// leases are the addresses that host-local has given.
func (s *subject) leases() string {
	s.T.Helper()
	return s.shell("cd /var/lib/cni/networks/nri-sriov-leased 2>/dev/null && ls | grep -v last_reserved | grep -v lock | xargs echo || true")
}

func ipamPlugin(s *subject) {
	sandbox, container := s.mustPod("first", "leased")
	_, second := s.mustPod("second", `[{network: leased, ips: ["192.0.2.101/24"]}]`)
	if got := s.exec(container, "ip", "-o", "-4", "addr", "show", "net1"); !strings.Contains(got, "192.0.2.100/24") {
		s.T.Errorf("the pod's address: %s", got)
	}
	if got := s.exec(second, "ip", "-o", "-4", "addr", "show", "net1"); !strings.Contains(got, "192.0.2.101/24") {
		s.T.Errorf("the address that the pod asked for: %s", got)
	}
	if got := s.exec(container, "ip", "route"); !strings.Contains(got, "198.51.100.0/24 via 192.0.2.1 dev net1") {
		s.T.Errorf("the pod's routes: %s", got)
	}
	if networks := s.networks(container); len(networks[0].IPs) != 1 || networks[0].IPs[0] != "192.0.2.100/24" {
		s.T.Errorf("networks.json: %+v", networks)
	}
	s.pings(second, "192.0.2.100")
	third, err := s.pod("third", "leased")
	s.must(err)
	_, err = s.tryContainer(third, "app")
	s.refused(err, `ipam plugin "host-local": `)
	// A restart takes no second lease, and gives none back that is in use.
	s.must(s.Daemon.Kill(s.T.Context()))
	s.must(s.Daemon.Start(s.T.Context()))
	s.attached(2)
	if got := s.leases(); got != "192.0.2.100 192.0.2.101" {
		s.T.Errorf("leases after a restart: %s", got)
	}
	s.remove(sandbox)
	s.pods = s.pods[1:]
	s.must(lab.Eventually(s.T.Context(), time.Minute, func(context.Context) error {
		if got := s.leases(); got != "192.0.2.101" {
			return fmt.Errorf("leases after the pod's end: %s", got)
		}
		return nil
	}))
	s.removeAll()
	s.clean()
	if got := s.leases(); got != "" {
		s.T.Errorf("leases at the end: %s", got)
	}
}

// brokenIPAM: whatever the plugin does, the attachment fails in time and the VF comes back.
func brokenIPAM(s *subject) {
	s.must(s.WriteFile(s.T.Context(), "/usr/lib/cni/hanging", 0o755, []byte("#!/bin/sh\n[ \"$CNI_COMMAND\" = DEL ] && exit 0\nsleep 600\n")))
	s.must(s.WriteFile(s.T.Context(), "/usr/lib/cni/garbage", 0o755, []byte("#!/bin/sh\n[ \"$CNI_COMMAND\" = DEL ] && exit 0\necho '{]'\n")))
	for network, sentence := range map[string]string{"missing": `ipam plugin "no-such-plugin"`, "garbage": `ipam plugin "garbage"`, "hanging": "still at work"} {
		sandbox, err := s.pod(network, network)
		s.must(err)
		_, err = s.cri.StartIn(s.T.Context(), sandbox, "app")
		s.refused(err, sentence)
	}
	// Other pods of the PF are not held up by the one that hangs.
	s.mustPod("beside", "plain")
	s.removeAll()
	s.clean()
	s.must(lab.Eventually(s.T.Context(), time.Minute, func(ctx context.Context) error {
		output, err := s.Guest.Shell(ctx, "pgrep -f '[c]ni/hanging' || true")
		if left := strings.TrimSpace(output.Stdout); err == nil && left != "" {
			err = fmt.Errorf("plugins are still running: %s", left)
		}
		return err
	}))
	s.shell("rm -f /usr/lib/cni/hanging /usr/lib/cni/garbage")
}
