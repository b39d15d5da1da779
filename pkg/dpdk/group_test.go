package dpdk_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk/dpdktest"
)

func TestGroup(t *testing.T) {
	kernel := node(t)
	kernel.AddDriver("pcieport")
	kernel.AddDevice("0000:00:1c.0", dpdktest.Device{Driver: "pcieport", Group: 12})
	kernel.AddDevice(second, dpdktest.Device{Group: 12})
	group, err := open(t, kernel).Group(address(t, first))
	if err != nil {
		t.Fatal(err)
	}
	wanted := dpdk.Group{Number: 12, Members: []dpdk.Member{{Name: "0000:00:1c.0", Driver: "pcieport"}, {Name: first, Driver: "igbvf"}, {Name: second}}}
	if diff := cmp.Diff(wanted, group); diff != "" {
		t.Error(diff)
	}
	if _, err := open(t, kernel).Group(address(t, "0000:09:00.0")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("group of nothing: %v", err)
	}
}

func TestIsolated(t *testing.T) {
	const noIOMMU = "module/vfio/parameters/enable_unsafe_noiommu_mode"
	tests := []struct {
		name   string
		group  int
		others map[string]string
		files  map[string]string
		allow  bool
		said   []string
	}{
		{name: "alone", group: 3},
		{name: "with what is harmless", group: 3, others: map[string]string{
			"0000:00:1c.0": "pcieport", "0000:00:1d.0": "pci-stub", second: "vfio-pci", "0000:01:10.4": "mlx5_vfio_pci", "0000:01:10.6": "",
		}},
		{name: "with a NIC in use", group: 3, others: map[string]string{second: "igbvf", "0000:01:10.4": "vfio-pci"},
			said: []string{"IOMMU group 3", second + " (igbvf)", "bind them to vfio-pci"}},
		{name: "with uio", group: 3, others: map[string]string{second: "igb_uio", "0000:01:00.0": "igb"},
			said: []string{"0000:01:00.0 (igb), " + second + " (igb_uio)"}},
		{name: "IOMMU off", group: -1, said: []string{"the IOMMU is off", "intel_iommu=on"}},
		{name: "IOMMU off, allowed, not built", group: -1, allow: true, said: []string{"CONFIG_VFIO_NOIOMMU"}},
		{name: "IOMMU off, allowed, not set", group: -1, allow: true, files: map[string]string{noIOMMU: "N\n"},
			said: []string{"echo Y > /sys/" + noIOMMU}},
		{name: "IOMMU off, allowed", group: -1, allow: true, files: map[string]string{noIOMMU: "Y\n"}},
		{name: "made up by vfio", group: 0, files: map[string]string{noIOMMU: "Y\n", "kernel/iommu_groups/0/name": "vfio-noiommu\n"},
			said: []string{"made up by vfio", "allowNoIOMMU"}},
		{name: "made up by vfio, allowed", group: 0, allow: true,
			files: map[string]string{noIOMMU: "Y\n", "kernel/iommu_groups/0/name": "vfio-noiommu\n"}},
		{name: "an IOMMU's own group with a name", group: 0, files: map[string]string{"kernel/iommu_groups/0/name": "firmware\n"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			kernel := dpdktest.New(t)
			kernel.AddDevice(first, dpdktest.Device{Driver: "vfio-pci", Group: test.group})
			for name, driver := range test.others {
				kernel.AddDevice(name, dpdktest.Device{Driver: driver, Group: test.group})
			}
			for name, text := range test.files {
				kernel.Write(name, text)
			}
			err := open(t, kernel).Isolated(address(t, first), test.allow)
			if len(test.said) == 0 && err != nil {
				t.Error(err)
			}
			if len(test.said) > 0 {
				said(t, err, test.said...)
			}
		})
	}
}
