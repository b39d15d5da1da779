package testpmd_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
	"github.com/nri-sriov/nri-sriov/test/e2e/testpmd"
)

const (
	mac  = "02:00:00:00:10:00"
	peer = "02:00:00:00:20:00"
)

// bind gives pf0's VF 0 to vfio-pci and to the user, and puts pf1's into a namespace on the same VLAN.
const bind = `
ip link set pf0 vf 0 mac ` + mac + ` vlan 100
device=/sys/bus/pci/devices/$(basename $(readlink /sys/class/net/pf0/device/virtfn0))
echo vfio-pci > $device/driver_override
basename $device > $device/driver/unbind
basename $device > /sys/bus/pci/drivers_probe
group=$(basename $(readlink $device/iommu_group))
chown %[1]d:%[1]d /dev/vfio/$group
ip netns add peer
ip link set pf1v0 address ` + peer + ` netns peer
ip link set pf1 vf 0 vlan 100
ip netns exec peer sh -c 'echo 1 > /proc/sys/net/ipv6/conf/pf1v0/disable_ipv6' # it would send by itself
ip -n peer addr add 192.0.2.2/24 dev pf1v0
ip -n peer link set pf1v0 up
echo $(basename $device) $group
`

// TestTestpmd has testpmd exchange packets with a netdev VF, die by SIGKILL and start again.
func TestTestpmd(t *testing.T) {
	g := lab.Start(t, lab.Options{VFs: 1, HugePages: testpmd.Pages})
	shell := func(script string, args ...any) string {
		t.Helper()
		output, err := g.Shell(t.Context(), fmt.Sprintf(script, args...))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(output.Stdout)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(g.LoadModules(t.Context(), "vfio-pci"))
	device, group, _ := strings.Cut(shell(bind, testpmd.User), " ")
	containerd, err := g.StartContainerd(t.Context(), lab.ContainerdOptions{})
	must(err)
	// The containers inherit it.
	shell("prlimit --pid %d --memlock=%d", containerd.PID(), 64<<20)
	sandbox, err := containerd.CRI().RunPod(t.Context(), lab.Pod{Name: "dpdk"})
	must(err)
	start := func(name string, o testpmd.Options) *testpmd.Program {
		t.Helper()
		o.Devices = []string{device}
		o.Container.Name = name
		for _, path := range []string{"/dev/vfio/vfio", "/dev/vfio/" + group} {
			o.Container.Devices = append(o.Container.Devices, &cri.Device{HostPath: path, ContainerPath: path, Permissions: "rw"})
		}
		begin := time.Now()
		program, err := testpmd.Start(t.Context(), g, containerd.CRI(), sandbox, o)
		must(err)
		t.Logf("%s is up after %s", name, time.Since(begin))
		report, err := program.Report(t.Context())
		must(err)
		if port := report.Ports[0]; port.MAC != mac || !port.LinkUp || len(report.Complaints) > 0 {
			t.Errorf("%s: %+v, want MAC %s, a link and no complaints", name, report, mac)
		}
		return program
	}
	received := func() int {
		n, err := strconv.Atoi(shell("ip netns exec peer cat /sys/class/net/pf1v0/statistics/rx_packets"))
		must(err)
		return n
	}

	echo := start("echo", testpmd.Options{Mode: testpmd.Echo})
	shell("ip netns exec peer ping -c 5 -i 0.2 192.0.2.1")
	port, err := echo.Until(t.Context(), 10*time.Second, 0, func(port testpmd.Port) bool { return port.NIC.TXPackets >= 6 })
	must(err)
	if port.NIC.RXPackets != port.NIC.TXPackets {
		t.Errorf("it answers other packets than ARP and ping: %+v", port)
	}
	if open, err := g.Shell(t.Context(), "exec 3<>/dev/vfio/"+group); err == nil || !strings.Contains(open.Stderr, "busy") {
		t.Errorf("a second user opens the device: %+v, %v", open, err)
	}
	must(echo.Kill(t.Context()))

	before := received()
	sender := start("sender", testpmd.Options{Burst: 40, Peer: peer})
	report, err := sender.Stop(t.Context())
	must(err)
	if sent, got := report.Ports[0].Forwarded.TXPackets, received()-before; sent != 40 || got != 40 {
		t.Errorf("sent %d and the peer got %d packets, want 40", sent, got)
	}

	must(start("small", testpmd.Options{SmallPages: true}).Kill(t.Context()))
	if free := shell("awk '/HugePages_Free/ {print $2}' /proc/meminfo"); free != strconv.Itoa(testpmd.Pages) {
		t.Errorf("%s of %d huge pages are free afterwards", free, testpmd.Pages)
	}
}
