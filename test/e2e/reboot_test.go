package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// TestReboot: the node loses its power under pods and, with NRI_SRIOV_LAB_LONG, is shut down in order under others. What the journal tells of the
// earlier boot is dropped, whatever the VFs are now, and pods get VFs again.
func TestReboot(t *testing.T) {
	lab.Require(t)
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state.ext4")
	c := tally{rows: "8"}
	ends := []string{"power loss", ""}
	if long() {
		ends = []string{"power loss", "in order", ""}
	}
	for boots, end := range ends {
		t.Run(fmt.Sprint("boot", boots+1), func(t *testing.T) {
			b := boot(t, lab.Options{State: state})
			s := &subject{bench: b, T: t}
			var err error
			s.containerd, err = b.Guest.StartContainerd(t.Context(), lab.ContainerdOptions{}) // with what it had before
			s.must(err)
			s.cri = s.containerd.CRI()
			s.before = s.state()
			s.must(s.Configure(t.Context(), nodeConfig))
			begun := time.Now()
			s.must(s.Daemon.Start(t.Context()))
			if free, err := s.AllFree(s.ctx()); err != nil || free != 14 {
				t.Errorf("%d VFs are free, %v", free, err)
			}
			if boots > 0 {
				c.injected, c.converge = c.injected+1, max(c.converge, time.Since(begun))
				if left := s.shell("ls /var/lib/nri-sriov/sandboxes"); left != "" {
					t.Errorf("records of an earlier boot: %s", left)
				}
			}
			_, first := s.mustPod("first", `[{network: public, mac: "02:00:00:00:00:11", ips: ["192.0.2.10/24"], required: [CUSTOM_LEFT]}]`)
			_, second := s.mustPod("second", `[{network: public, ips: ["192.0.2.11/24"], required: [CUSTOM_RIGHT]}]`)
			s.pings(second, "192.0.2.10")
			c.without += s.bare("net1", first, second)
			if records := s.shell("ls /var/lib/nri-sriov/sandboxes; sync"); len(strings.Fields(records)) != 2 {
				t.Errorf("records: %s", records)
			}
			if end == "power loss" {
				s.must(b.Guest.Close())
				return
			}
			if end == "" {
				s.removeAll()
				s.clean()
			}
			_, err = s.Daemon.Stop(t.Context())
			s.must(err)
			s.must(s.containerd.Stop(t.Context()))
			s.shell("sync")
		})
		if t.Failed() {
			return
		}
	}
	report(t, c, 0, 0)
}
