package lab_test

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// TestPowerCut ends a guest without a warning: what it had synced to its state
// is there in the next one, which has another boot id.
func TestPowerCut(t *testing.T) {
	options := lab.Options{NICs: []lab.NIC{}, State: filepath.Join(t.TempDir(), "state")}
	first := lab.Start(t, options)
	shell(t, first, "mkdir /var/lib/kept; cp /proc/sys/kernel/random/boot_id /var/lib/kept/; sync")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := lab.Start(t, options)
	shell(t, second, `
test -s /var/lib/kept/boot_id
! cmp -s /var/lib/kept/boot_id /proc/sys/kernel/random/boot_id`)
}

// TestTrunk has VFs of two guests on one wire ping each other.
func TestTrunk(t *testing.T) {
	here, there := freeUDPPort(t), freeUDPPort(t)
	nics := []lab.NIC{{Name: "pf0", Wire: "wire"}}
	guests := []*lab.Guest{
		lab.Start(t, lab.Options{NICs: nics, VFs: 1, Memory: "1G", Trunks: []lab.Trunk{{Wire: "wire", LocalPort: here, RemotePort: there}}}),
		lab.Start(t, lab.Options{NICs: nics, VFs: 1, Memory: "1G", Trunks: []lab.Trunk{{Wire: "wire", LocalPort: there, RemotePort: here}}}),
	}
	for n, g := range guests {
		shell(t, g, "ip addr add 192.0.2.1%d/24 dev pf0v0; ip link set pf0v0 up", n)
	}
	shell(t, guests[0], "for try in $(seq 30); do ping -q -c 1 -W 1 192.0.2.11 && exit 0; done; exit 1")
}

func freeUDPPort(t *testing.T) int {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).Port
}
