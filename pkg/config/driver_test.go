package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

func TestParseDevices(t *testing.T) {
	got, err := Parse("config.yaml", []byte(head+`hugepages: /dev/hugepages
providers:
  - pf: enp1s0
    driver: vfio-pci
    allowNoIOMMU: true
  - pciAddress: "0000:02:00.0"
    vfToken: 2AB74924-C335-45F4-9B16-8569E5B08258
  - pf: enp3s0
    allowNoIOMMU: false
networks:
  - name: fast
    device: vfio
    vhostNet: true
    mtu: 9000
    vlan: {id: 100}
    trust: true
    linkState: enable
  - name: appliance
    device: vfio
    resourceClass: SRIOV_NET_PF
  - name: verbs
    rdma: true
    vhostNet: true
`))
	if err != nil {
		t.Fatal(err)
	}
	fast := vf.DefaultSettings()
	fast.VLAN.ID, fast.Trust, fast.LinkState = 100, true, vf.LinkEnable
	want := &Node{
		Source: "config.yaml", Hugepages: "/dev/hugepages",
		Providers: []Provider{
			{PF: "enp1s0", Driver: "vfio-pci", AllowNoIOMMU: true},
			{Address: vf.PCIAddress{Bus: 2}, VFToken: "2ab74924-c335-45f4-9b16-8569e5b08258"},
			{PF: "enp3s0"},
		},
		Networks: []Network{
			{Name: "fast", Device: DeviceVFIO, VhostNet: true, Settings: fast, MTU: 9000, CNIVersion: "1.1.0"},
			{Name: "appliance", Device: DeviceVFIO, WholePF: true, Settings: vf.DefaultSettings(), CNIVersion: "1.1.0"},
			{Name: "verbs", Device: DeviceNetdev, RDMA: true, VhostNet: true, Settings: vf.DefaultSettings(), CNIVersion: "1.1.0"},
		},
	}
	if diff := cmp.Diff(want, got, byValue); diff != "" {
		t.Errorf("node (-want +got):\n%s", diff)
	}
}

func TestParseAcceptsDrivers(t *testing.T) {
	for _, driver := range []string{
		"vfio-pci", "mlx5_vfio_pci", "hisi_acc_vfio_pci", "virtio-vfio-pci", "xe-vfio-pci", "uio_pci_generic", "igb_uio",
	} {
		got, err := Parse("config.yaml", []byte(head+"networks: [{name: a}]\nproviders: [{pf: a, driver: "+driver+"}]\n"))
		if err != nil || got.Providers[0].Driver != driver {
			t.Errorf("%s: %v", driver, err)
		}
	}
}

func TestParseRefusesDrivers(t *testing.T) {
	no := func(driver string) string {
		return "4: providers[0].driver: " + driver + " is no driver that gives a VF to user space: vfio-pci, a variant of it such as " +
			"mlx5_vfio_pci, uio_pci_generic or igb_uio; leave driver away for the kernel's own network driver"
	}
	const noToken = " is not a UUID such as 2ab74924-c335-45f4-9b16-8569e5b08258"
	refusals{
		{"the module", "driver: vfio_pci", "4: providers[0].driver: vfio_pci is the name of the module; the driver is called vfio-pci"},
		{"a network driver", "driver: igbvf", no(`"igbvf"`)},
		{"nothing", `driver: ""`, no(`""`)},
		{"a stub", "driver: pci-stub", no(`"pci-stub"`)},
		{"upper case", "driver: VFIO-PCI", no(`"VFIO-PCI"`)},
		{"a path", "driver: ../vfio-pci", no(`"../vfio-pci"`)},
		{"glued", "driver: mlx5vfio-pci", no(`"mlx5vfio-pci"`)},
		{"long", "driver: " + strings.Repeat("a", 47) + "-vfio-pci", no(`"` + strings.Repeat("a", 47) + `-vfio-pci"`)},
		{"a list", "driver: [vfio-pci]", "4: providers[0].driver: this must be a text, not a list"},
		{"allowNoIOMMU", "allowNoIOMMU: maybe", `4: providers[0].allowNoIOMMU: "maybe" is neither true nor false`},
		{"a token of text", "vfToken: secret", `4: providers[0].vfToken: "secret"` + noToken},
		{"a token without dashes", "vfToken: 2ab74924c33545f49b168569e5b08258", `4: providers[0].vfToken: "2ab74924c33545f49b168569e5b08258"` + noToken},
		{"a token in braces", `vfToken: "{2ab74924-c335-45f4-9b16-8569e5b08258}"`, `4: providers[0].vfToken: "{2ab74924-c335-45f4-9b16-8569e5b08258}"` + noToken},
		{"a token of other letters", "vfToken: 2ab74924-c335-45f4-9b16-8569e5b0825g", `4: providers[0].vfToken: "2ab74924-c335-45f4-9b16-8569e5b0825g"` + noToken},
		{
			"a token of zeros", "vfToken: 00000000-0000-0000-0000-000000000000",
			"4: providers[0].vfToken: the UUID of zeros is no secret; uuidgen makes one",
		},
		{
			"a token of uio", "driver: igb_uio, vfToken: 2ab74924-c335-45f4-9b16-8569e5b08258",
			"4: providers[0].vfToken: igb_uio asks for no token; vfio-pci does, of the VFs of a PF that is bound to it",
		},
		{"an unknown key", "drivers: [vfio-pci]", `4: providers[0]: unknown key "drivers"; known here are pf, pciAddress, numVFs, vfs, reserved, traits, driver, allowNoIOMMU, vfToken, bandwidth`},
	}.runFlow(t, head+"networks: [{name: a}]\nproviders: [{pf: a, ", "}]")
}

// runFlow also closes what before has opened.
func (tests refusals) runFlow(t *testing.T, before, after string) {
	t.Helper()
	for i := range tests {
		tests[i].text += after
	}
	tests.run(t, before)
}

func TestParseRefusesHugepages(t *testing.T) {
	for _, dir := range []string{
		"/", "/dev", "/proc", "/proc/1", "/sys", "/sys/kernel", "dev/hugepages", "/dev/hugepages/", "//dev/hugepages", "/dev/../huge",
		"/dev/./huge", "", "..",
	} {
		_, err := Parse("config.yaml", []byte(head+"networks: [{name: a}]\nhugepages: '"+dir+"'\n"))
		want := `config.yaml:4: hugepages: "` + dir + `" is no place of a hugetlbfs: an absolute path such as /dev/hugepages, ` +
			"without .., . and a slash at the end; not / or /dev, and nothing below /proc and /sys"
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", dir, err, want)
		}
	}
	for _, dir := range []string{"/dev/hugepages", "/dev/hugepages1G", "/hugepages", "/process", "/mnt/huge 1G"} {
		node, err := Parse("config.yaml", []byte(head+"networks: [{name: a}]\nhugepages: '"+dir+"'\n"))
		if err != nil || node.Hugepages != dir {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
