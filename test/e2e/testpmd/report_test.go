package testpmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-sriov/nri-sriov/test/e2e/testpmd"
)

// The texts are logs of containers as containerd wrote them.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestParse(t *testing.T) {
	for name, want := range map[string]testpmd.Report{
		"burst.log": {Ports: map[int]testpmd.Port{0: {
			MAC: "02:00:00:00:10:00", LinkUp: true, Readings: 1,
			NIC:       testpmd.Counters{RXPackets: 6, RXBytes: 570, TXPackets: 46, TXBytes: 3474},
			Forwarded: &testpmd.Counters{TXPackets: 40},
		}}},
		"two.log": {Ports: map[int]testpmd.Port{
			0: {MAC: "02:00:00:00:10:00", LinkUp: true, Readings: 1, Forwarded: &testpmd.Counters{}},
			1: {MAC: "02:00:00:00:10:01", LinkUp: true, Readings: 1, Forwarded: &testpmd.Counters{}},
		}},
		"busy.log": {Ports: map[int]testpmd.Port{}, Complaints: []string{
			"EAL: Cannot open /dev/vfio/9: Device or resource busy",
			"EAL: Failed to open VFIO group 9",
			"PCI_BUS: Requested device 0000:01:10.0 cannot be used",
			"EAL: Bus (pci) probe failed.",
			"testpmd: No probed ethernet devices",
		}},
	} {
		got, err := testpmd.Parse(read(t, name))
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Without the right to lock memory testpmd comes up and says so; its port looks alive.
func TestParseMemlock(t *testing.T) {
	got, err := testpmd.Parse(read(t, "memlock.log"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "EAL: Cannot set up DMA remapping, error 12 (Cannot allocate memory)"
	if len(got.Complaints) == 0 || got.Complaints[0] != want || got.Ports[0].Readings != 1 {
		t.Errorf("got %+v, want a port and the complaint %q", got, want)
	}
}

// A log is read while it is written: no piece of it is an error or a number that is too small.
func TestParsePieces(t *testing.T) {
	text := read(t, "burst.log")
	for end := range text {
		got, err := testpmd.Parse(text[:end])
		if err != nil {
			t.Fatalf("%d bytes: %v", end, err)
		}
		if sent := got.Ports[0].NIC.TXPackets; sent != 0 && sent != 46 {
			t.Fatalf("%d bytes: %d packets were sent, want 46", end, sent)
		}
	}
}

func TestParseRefusesImpossibleNumbers(t *testing.T) {
	const text = "######### NIC statistics for port 0  #########\nRX-packets: 99999999999999999999\n"
	if _, err := testpmd.Parse(text); err == nil || !strings.Contains(err.Error(), "RX-packets: 99999999999999999999") {
		t.Errorf("got %v, want an error with the line", err)
	}
}

func TestContainer(t *testing.T) {
	o := testpmd.Options{Devices: []string{"$VF"}, Mode: testpmd.Echo, Burst: 3, Peer: "02:00:00:00:00:01"}
	c := testpmd.Container(o)
	const want = `exec /usr/bin/dpdk-testpmd --no-telemetry --lcores 0@0-1,1@0-1 --in-memory -a "$VF" -- ` +
		`--total-num-mbufs=2048 --no-lsc-interrupt --no-mlockall --auto-start --stats-period 1 --forward-mode=icmpecho ` +
		`--tx-first --burst=3 --eth-peer=0,02:00:00:00:00:01`
	if got := c.Command[len(c.Command)-1]; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if c.Name != "testpmd" || c.RunAsUser != testpmd.User || !c.NoCapabilities || len(c.Mounts) != 3 {
		t.Errorf("got %+v", c)
	}
}
