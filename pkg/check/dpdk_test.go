package check

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-sriov/nri-sriov/pkg/dpdk/dpdktest"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/nri-sriov/nri-sriov/pkg/vf/vftest"
)

const pf = "0000:01:00.0"

// node is a machine with a PF and three VFs, which rest in the given driver, in IOMMU groups 4, 5 and 5, or in none.
func node(t *testing.T, resting string, iommu bool) *dpdktest.Kernel {
	t.Helper()
	kernel := dpdktest.New(t)
	kernel.AddPF(pf, vftest.PF{Interface: "enp1s0", Driver: "igb", TotalVFs: 7, NUMANode: -1})
	groups := []int{-1, -1, -1}
	if iommu {
		groups = []int{4, 5, 5}
	}
	for i, group := range groups {
		address := fmt.Sprintf("0000:01:10.%d", 2*i)
		kernel.AddVF(address, pf, i, vftest.VF{Driver: resting, IOMMUGroup: group})
		join(kernel, address, group)
	}
	return kernel
}

// join makes a device a member of a group as the group shows it.
func join(kernel *dpdktest.Kernel, address string, group int) {
	if group >= 0 {
		kernel.Link("../../../../devices/pci0000:00/"+address, fmt.Sprintf("kernel/iommu_groups/%d/devices/%s", group, address))
	}
}

// devices checks a machine with a config, and keeps what is said from the IOMMU to the NRI socket.
func devices(t *testing.T, kernel *dpdktest.Kernel, text string) []Finding {
	t.Helper()
	dir := t.TempDir()
	findings := Node(Paths{
		Config: write(t, filepath.Join(dir, "config.yaml"), "apiVersion: sriov.nri.io/v1alpha1\nkind: NodeConfig\n"+text),
		Sysfs:  kernel.Dir, Dev: kernel.Dev, NRISocket: filepath.Join(dir, "none"), ContainerdConfig: filepath.Join(dir, "none"),
	})
	if findings[0].Status != OK {
		t.Fatal(findings[0])
	}
	from, to := -1, -1
	for i, one := range findings {
		if one.Subject == subjectIOMMU {
			from = i
		}
		if one.Subject == "NRI socket" {
			to = i
		}
	}
	return findings[from:to]
}

const vfio = "networks: [{name: a, device: vfio}]\n"

func TestDevices(t *testing.T) {
	hugepages := func(kernel *dpdktest.Kernel) {
		kernel.Write("kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "4\n")
		kernel.Write("kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "4\n")
	}
	vfioPCI := func(kernel *dpdktest.Kernel) { kernel.AddDriver("vfio-pci") }
	unsafe := func(state string) func(*dpdktest.Kernel) {
		return func(kernel *dpdktest.Kernel) {
			kernel.Write("module/vfio/parameters/enable_unsafe_noiommu_mode", state+"\n")
		}
	}
	foreign := func(group int) func(*dpdktest.Kernel) {
		return func(kernel *dpdktest.Kernel) { join(kernel, pf, group) }
	}
	away := func(kernel *dpdktest.Kernel) {
		if err := os.RemoveAll(filepath.Join(kernel.Dir, "bus/pci/devices", pf, "net")); err != nil {
			t.Fatal(err)
		}
	}
	const provider = "providers: [{pf: enp1s0, %s}]\n"
	for _, c := range []struct {
		name, config, resting string
		noIOMMU               bool
		has                   []func(*dpdktest.Kernel)
		want                  string
	}{
		{name: "netdevs only", config: "networks: [{name: a, rdma: true}]\n", resting: "igbvf", want: "ok IOMMU"},
		{name: "netdevs only, no IOMMU", config: "networks: [{name: a}]\n", resting: "igbvf", noIOMMU: true, want: "warning IOMMU"},
		{
			name: "on demand", config: vfio, resting: "igbvf", has: []func(*dpdktest.Kernel){vfioPCI, hugepages},
			want: "ok IOMMU\nok driver vfio-pci\nok vfio\nok huge pages",
		},
		{
			name: "warm pool", config: vfio + fmt.Sprintf(provider, "driver: vfio-pci"), resting: "vfio-pci",
			has: []func(*dpdktest.Kernel){vfioPCI}, want: "ok IOMMU\nok driver vfio-pci\nok vfio\nwarning huge pages",
		},
		{
			name: "nothing is there", config: vfio, resting: "igbvf", noIOMMU: true,
			want: "failure IOMMU\nfailure driver vfio-pci\nfailure vfio\nwarning huge pages",
		},
		{
			name: "a driver, but no network of vfio", config: "networks: [{name: a}]\n" + fmt.Sprintf(provider, "driver: mlx5_vfio_pci"),
			resting: "igbvf", noIOMMU: true,
			want: "warning IOMMU\nwarning driver mlx5_vfio_pci\nwarning vfio\nwarning huge pages",
		},
		{
			name: "uio", config: vfio + fmt.Sprintf(provider, "driver: igb_uio"), resting: "igb_uio", noIOMMU: true,
			want: "warning IOMMU\nok driver igb_uio\nwarning driver igb_uio\nwarning huge pages",
		},
		{
			name: "without IOMMU", config: vfio + fmt.Sprintf(provider, "allowNoIOMMU: true"), resting: "igbvf", noIOMMU: true,
			has:  []func(*dpdktest.Kernel){vfioPCI, unsafe("Y")},
			want: "warning IOMMU\nok allowNoIOMMU\nwarning allowNoIOMMU\nok driver vfio-pci\nok vfio\nwarning huge pages",
		},
		{
			name: "without IOMMU, and vfio is not set to it", config: vfio + fmt.Sprintf(provider, "allowNoIOMMU: true"), resting: "igbvf",
			noIOMMU: true, has: []func(*dpdktest.Kernel){vfioPCI, unsafe("N")},
			want: "warning IOMMU\nfailure allowNoIOMMU\nwarning allowNoIOMMU\nok driver vfio-pci\nok vfio\nwarning huge pages",
		},
		{
			name: "allowed without IOMMU, and it is on", config: vfio + fmt.Sprintf(provider, "allowNoIOMMU: true"), resting: "igbvf",
			has: []func(*dpdktest.Kernel){vfioPCI}, want: "ok IOMMU\nwarning allowNoIOMMU\nok driver vfio-pci\nok vfio\nwarning huge pages",
		},
		{
			name: "two drivers", resting: "igbvf",
			config: vfio + "providers: [{pf: enp1s0}, {pf: enp2s0, driver: uio_pci_generic}]\n", has: []func(*dpdktest.Kernel){vfioPCI},
			want: "ok IOMMU\nok driver vfio-pci\nfailure driver uio_pci_generic\nwarning driver uio_pci_generic\nok vfio\nwarning huge pages",
		},
		{
			name: "a place of huge pages that is none", config: vfio + "hugepages: /usr\n", resting: "igbvf", has: []func(*dpdktest.Kernel){vfioPCI},
			want: "ok IOMMU\nok driver vfio-pci\nok vfio\nwarning huge pages\nwarning hugepages of the config",
		},
		{
			name: "a group with the PF", config: vfio, resting: "igbvf", has: []func(*dpdktest.Kernel){vfioPCI, foreign(5)},
			want: "ok IOMMU\nok driver vfio-pci\nok vfio\nwarning huge pages\nwarning IOMMU group 5",
		},
		{
			name: "the only group that is offered", config: vfio + fmt.Sprintf(provider, `vfs: "0"`), resting: "igbvf",
			has:  []func(*dpdktest.Kernel){vfioPCI, foreign(4)},
			want: "ok IOMMU\nok driver vfio-pci\nok vfio\nwarning huge pages\nfailure IOMMU group 4",
		},
		{
			name: "a sibling that is left to others", config: vfio + fmt.Sprintf(provider, `vfs: "0-1"`), resting: "igbvf",
			has:  []func(*dpdktest.Kernel){vfioPCI},
			want: "ok IOMMU\nok driver vfio-pci\nok vfio\nwarning huge pages\nwarning IOMMU group 5",
		},
		{
			name: "whole PFs", config: "networks: [{name: a, device: vfio, resourceClass: SRIOV_NET_PF}]\n", resting: "igbvf",
			has:  []func(*dpdktest.Kernel){vfioPCI, away},
			want: "ok IOMMU\nok driver vfio-pci\nok vfio\nwarning huge pages\nfailure devices without IOMMU group",
		},
		{
			name: "whole PFs beside uio", resting: "igbvf", has: []func(*dpdktest.Kernel){vfioPCI},
			config: "networks: [{name: a, device: vfio, resourceClass: SRIOV_NET_PF}]\n" + fmt.Sprintf(provider, "driver: igb_uio"),
			want:   "ok IOMMU\nfailure driver igb_uio\nwarning driver igb_uio\nok driver vfio-pci\nok vfio\nwarning huge pages",
		},
		{
			name: "what DPDK drives through its network driver", config: vfio, resting: "mlx5_core", has: []func(*dpdktest.Kernel){vfioPCI},
			want: "ok IOMMU\nok driver vfio-pci\nok vfio\nwarning huge pages\nfailure driver mlx5_core",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			kernel := node(t, c.resting, !c.noIOMMU)
			for _, add := range c.has {
				add(kernel)
			}
			findings := devices(t, kernel, c.config)
			if diff := cmp.Diff(c.want, draw(findings)); diff != "" {
				t.Error(diff)
			}
			for _, one := range findings {
				if one.Status != OK && one.Mend == "" || strings.Contains(one.Message+one.Mend, "\n") {
					t.Errorf("no mend, or more than a line: %+v", one)
				}
			}
		})
	}
}

func TestGroupsAreNamed(t *testing.T) {
	kernel := node(t, "igbvf", true)
	kernel.AddDriver("vfio-pci")
	join(kernel, pf, 5)
	findings := devices(t, kernel, vfio)
	want := Finding{
		Warning, "IOMMU group 5", "0000:01:10.2 and 1 more cannot be given to vfio: the host uses other members: 0000:01:00.0 (igb)",
		"bind them to vfio-pci or to none, or put the NIC into a slot whose ports keep devices apart (ACS)",
	}
	if diff := cmp.Diff(want, findings[len(findings)-1]); diff != "" {
		t.Error(diff)
	}
}

// TestBoundByTheDaemon: what the daemon has taken from a network driver for a pod is nobody else's.
func TestBoundByTheDaemon(t *testing.T) {
	kernel := node(t, "vfio-pci", true)
	bound := map[vf.PCIAddress]bool{}
	for remembered, want := range []Status{Warning, OK} {
		findings, address := Node(Paths{Sysfs: kernel.Dir, Dev: kernel.Dev, Remembered: inventory.Remembered{Bound: bound}}), "0000:01:10.0"
		got := OK
		for _, one := range findings {
			if one.Status == Warning && strings.HasPrefix(one.Message, address) {
				got = Warning
			}
		}
		if got != want {
			t.Errorf("remembered %d: %s, %+v", remembered, got, findings)
		}
		parsed, err := vf.ParsePCIAddress(address)
		if err != nil {
			t.Fatal(err)
		}
		bound[parsed] = true
	}
}

func TestNoDeviceNodes(t *testing.T) {
	kernel := node(t, "igbvf", true)
	kernel.Dev += "/none"
	if got := draw(devices(t, kernel, vfio)); got != "failure IOMMU" {
		t.Error(got)
	}
}
