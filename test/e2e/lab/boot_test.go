package lab_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// shell runs a script that must succeed and returns what it prints.
func shell(t *testing.T, g *lab.Guest, script string, args ...any) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	output, err := g.Shell(ctx, fmt.Sprintf(script, args...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(output.Stdout)
}

// TestLab is the lab's own test: what every other test takes for granted.
func TestLab(t *testing.T) {
	g := lab.Start(t, lab.Options{})
	t.Logf("kernel %s, booted in %s", g.Kernel(), g.BootTime())
	t.Run("VFs", func(t *testing.T) { testVFs(t, g) })
	t.Run("wire", func(t *testing.T) { testWire(t, g) })
	t.Run("link", func(t *testing.T) { testLink(t, g) })
	t.Run("vfio", func(t *testing.T) { testVFIO(t, g) })
	t.Run("files", func(t *testing.T) { testFiles(t, g) })
	t.Run("processes", func(t *testing.T) { testProcesses(t, g) })
	t.Run("containerd", func(t *testing.T) { testContainerd(t, g) })
}

func testVFs(t *testing.T, g *lab.Guest) {
	const want = "14 VFs on igbvf, 14 IOMMU groups, carriers 1 1"
	got := shell(t, g, `
vfs=$(ls -d /sys/bus/pci/drivers/igbvf/0000:* | wc -l)
groups=$(for vf in /sys/bus/pci/drivers/igbvf/0000:*; do readlink $vf/iommu_group; done | sort -u | wc -l)
echo $vfs VFs on igbvf, $groups IOMMU groups, carriers $(cat /sys/class/net/pf0/carrier /sys/class/net/pf1/carrier)
`)
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for pf := range 2 {
		for vf := range 7 {
			shell(t, g, "test -e /sys/bus/pci/devices/0000:%02x:00.0/virtfn%d/net/pf%dv%d", pf+1, vf, pf, vf)
		}
	}
}

// testWire has two VFs of different PFs in namespaces of their own ping each
// other, and not when their VLANs differ.
func testWire(t *testing.T, g *lab.Guest) {
	shell(t, g, `
for n in 0 1; do
	ip netns add ns$n
	ip link set pf${n}v0 netns ns$n
	ip -n ns$n addr add 192.0.2.1$n/24 dev pf${n}v0
	ip -n ns$n link set pf${n}v0 up
done`)
	defer shell(t, g, `
for n in 0 1; do
	ip -n ns$n link set pf${n}v0 down netns 1
	ip netns del ns$n
	ip link set pf$n vf 0 vlan 0
done`)
	ping := "ip netns exec ns0 ping -q -c 1 -W %d 192.0.2.11 >/dev/null"
	for _, test := range []struct {
		name   string
		change string
		want   bool
	}{
		{name: "no VLAN", change: "true", want: true},
		{name: "different VLANs", change: "ip link set pf0 vf 0 vlan 100; ip link set pf1 vf 0 vlan 200"},
		{name: "the same VLAN", change: "ip link set pf1 vf 0 vlan 100", want: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			shell(t, g, "%s", test.change)
			if !test.want {
				// The VFs reset after the change; that silence must not count.
				shell(t, g, "sleep 3; ! "+ping, 3)
				return
			}
			err := lab.Eventually(t.Context(), 30*time.Second, func(ctx context.Context) error {
				_, err := g.Shell(ctx, fmt.Sprintf(ping, 1))
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func testLink(t *testing.T, g *lab.Guest) {
	for _, up := range []bool{false, true} {
		if err := g.SetLink(t.Context(), "pf1", up); err != nil {
			t.Fatal(err)
		}
		err := lab.Eventually(t.Context(), 30*time.Second, func(ctx context.Context) error {
			text, err := g.ReadFile(ctx, "/sys/class/net/pf1/carrier")
			if got := strings.TrimSpace(string(text)) == "1"; err == nil && got != up {
				err = fmt.Errorf("carrier is %t, want %t", got, up)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := g.SetLink(t.Context(), "eth9", true); err == nil {
		t.Error("an unknown PF gives no error")
	}
}

func testVFIO(t *testing.T, g *lab.Guest) {
	shell(t, g, `
modprobe vfio-pci
vf=$(basename $(readlink /sys/bus/pci/devices/0000:01:00.0/virtfn6))
device=/sys/bus/pci/devices/$vf
echo vfio-pci >$device/driver_override
echo $vf >$device/driver/unbind
echo $vf >/sys/bus/pci/drivers_probe
test $(basename $(readlink $device/driver)) = vfio-pci
test -c /dev/vfio/$(basename $(readlink $device/iommu_group))
echo >$device/driver_override
echo $vf >$device/driver/unbind
echo $vf >/sys/bus/pci/drivers_probe
for try in $(seq 50); do test -e /sys/class/net/pf0v6 && exit 0; sleep 0.1; done
echo pf0v6 did not come back >&2; exit 1`)
}
