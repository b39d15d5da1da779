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

const (
	vfToken     = "3e7e882e-1daf-417f-ad8d-882eea5ee337"
	tokenConfig = `apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
providers:
  - {pf: pf0, traits: [CUSTOM_PLAIN]}
  - {pciAddress: "0000:02:00.0", vfToken: "` + vfToken + `"}
networks:
  - name: fast
    device: vfio
    forbidden: [CUSTOM_PLAIN]
  - name: public
    forbidden: [CUSTOM_PLAIN]
  - name: tagged
    device: vfio
    forbidden: [CUSTOM_PLAIN]
    vlan: {id: 100}
`
)

// TestVFToken: an application of the admin drives the PF through vfio-pci. Its VFs open with the application's token only,
// which pods are told.
func TestVFToken(t *testing.T) {
	t.Parallel()
	b := boot(t, lab.Options{HugePages: 4 * testpmd.Pages})
	s := b.runtime(t, lab.ContainerdOptions{})
	s.must(b.LoadModules(t.Context(), "vfio-pci"))
	s.shell(`cd /sys/bus/pci/devices/0000:02:00.0
echo 1 >/sys/module/vfio_pci/parameters/enable_sriov
echo 0 >sriov_numvfs
echo vfio-pci >driver_override
echo 0000:02:00.0 >driver/unbind
echo 0000:02:00.0 >/sys/bus/pci/drivers_probe
echo 2 >sriov_numvfs`)
	application, err := b.Guest.Start(t.Context(), "application", nil, "/bin/sh", "-c", "exec /usr/bin/dpdk-testpmd --no-telemetry --lcores 0@0-1,1@0-1 "+
		"--in-memory --vfio-vf-token="+vfToken+" -a 0000:02:00.0 -- --total-num-mbufs=2048 --no-lsc-interrupt --no-mlockall --auto-start --stats-period 1")
	s.must(err)
	s.must(lab.Eventually(t.Context(), time.Minute, func(ctx context.Context) error {
		output, err := b.Guest.ReadFile(ctx, application.Log())
		if err == nil && !strings.Contains(string(output), "NIC statistics for port 0") {
			err = fmt.Errorf("the application does not drive the PF: %s", output)
		}
		return err
	}))
	s.must(s.Configure(t.Context(), tokenConfig))
	s.must(s.Daemon.Start(t.Context()))
	t.Cleanup(func() {
		s.removeAll()
		if _, err := s.AllFree(s.ctx()); err != nil {
			t.Error(err)
		}
		if _, err := s.Daemon.Stop(s.ctx()); err != nil {
			t.Error(err)
		}
	})

	err = s.askFor("public", "public")
	s.refused(err, "has VFs for vfio only: itself it is bound to vfio-pci")
	sandbox, err := s.pod("tagged", "tagged")
	s.must(err)
	_, err = s.tryContainer(sandbox, "app")
	s.refused(err, "the network sets [vlan], but its PF 0000:02:00.0 is driven by an application, which alone can set them")
	s.removeAll()

	sandbox, container := s.mustPod("fast", "fast")
	networks := s.networks(container)
	if len(networks) != 1 || networks[0].VFToken != vfToken {
		t.Fatalf("networks.json: %+v", networks)
	}
	options := testpmd.Options{Devices: []string{"$PCIDEVICE_SRIOV_NRI_IO_FAST"}, Container: lab.Container{Name: "without"}}
	if _, err := testpmd.Start(t.Context(), s.Guest, s.cri, sandbox, options); err == nil {
		t.Error("the VF opens without the token")
	}
	options.EAL, options.Container.Name = []string{"--vfio-vf-token=" + networks[0].VFToken}, "with"
	s.drive(sandbox, options)
}
