package dpdk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk/dpdktest"
)

func TestReset(t *testing.T) {
	t.Attr("fault", "32")
	tests := []struct {
		name, driver string
		change       func(*dpdktest.Kernel, *dpdk.Host)
		said         []string
	}{
		{name: "vfio", driver: "vfio-pci"},
		{name: "unbound"},
		{name: "a network driver", driver: "igbvf", said: []string{"reset 0000:01:10.0", "bound to igbvf", "unbind it first"}},
		{name: "a PF with VFs", driver: "vfio-pci", change: func(k *dpdktest.Kernel, _ *dpdk.Host) {
			k.Write("bus/pci/devices/"+first+"/sriov_numvfs", "1\n")
		}, said: []string{"a PF with VFs (1)"}},
		{name: "no reset", driver: "vfio-pci", change: func(k *dpdktest.Kernel, _ *dpdk.Host) {
			if err := os.Remove(filepath.Join(k.Dir, "bus/pci/devices", first, "reset")); err != nil {
				t.Fatal(err)
			}
		}, said: []string{"cannot be reset"}},
		{name: "no method", driver: "vfio-pci", change: func(_ *dpdktest.Kernel, h *dpdk.Host) {
			dpdk.Writes(h, func(string, string) error { return syscall.ENOTTY })
		}, said: []string{"cannot be reset"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			kernel := dpdktest.New(t, "igbvf", "vfio-pci")
			kernel.AddDevice(first, dpdktest.Device{Driver: test.driver, Native: "igbvf", Group: 1})
			host := open(t, kernel)
			if test.change != nil {
				test.change(kernel, host)
			}
			err := host.Reset(t.Context(), address(t, first))
			if len(test.said) > 0 {
				said(t, err, test.said...)
				if kernel.Resets != 0 {
					t.Error("it was reset")
				}
			} else if err != nil || kernel.Resets != 1 {
				t.Errorf("%v, %d resets", err, kernel.Resets)
			}
		})
	}
}

func TestChecks(t *testing.T) {
	kernel := dpdktest.New(t, "igbvf")
	host := open(t, kernel)
	text := func(ok bool, message, mend string) string {
		return fmt.Sprintf("%v | %s | %s", ok, message, mend)
	}
	check := func(subject, got string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("%s: %q lacks %q", subject, got, part)
			}
		}
	}
	check("no IOMMU", text(host.CheckIOMMU()), "false | is off", "intel_iommu=on")
	check("no driver", text(host.CheckDriver("vfio-pci")), "false | vfio-pci is not loaded", "modprobe vfio-pci")
	check("no name", text(host.CheckDriver("a/b")), "false | \"a/b\" is not the name")
	check("no node", text(host.CheckContainerNode()), "false | /dev/vfio/vfio", "modprobe vfio-pci")
	check("no pages", text(host.CheckHugepages()), "false | no huge pages", "hugepages=N")

	kernel.Write("kernel/iommu_groups/0/name", "vfio-noiommu\n")
	check("noiommu", text(host.CheckIOMMU()), "false | is off, and vfio works without it")
	kernel.AddDriver("vfio-pci")
	check("built in", text(host.CheckDriver("vfio-pci")), "true | vfio-pci is built into the kernel | ")
	check("node", text(host.CheckContainerNode()), "true | /dev/vfio/vfio is there (10:196) | ")
	kernel.Write("module/vfio_pci/initstate", "live\n")
	check("module", text(host.CheckDriver("vfio-pci")), "true | vfio-pci is loaded, as a module | ")
	kernel.AddDevice(first, dpdktest.Device{Group: 7})
	check("IOMMU", text(host.CheckIOMMU()), "true | is on; IOMMU groups: 1 | ")

	pages(kernel, "kernel/mm/hugepages", 2048, 6, 0)
	check("no free pages", text(host.CheckHugepages()), "false | 2 MiB: 0 of 6 free", "set more aside")
	pages(kernel, "kernel/mm/hugepages", 2048, 6, 4)
	pages(kernel, "kernel/mm/hugepages", 1<<20, 1, 1)
	pages(kernel, "devices/system/node/node1/hugepages", 2048, 2, 1)
	pages(kernel, "devices/system/node/node0/hugepages", 2048, 4, 3)
	kernel.Write("devices/system/node/possible", "0-1\n")
	check("pages", text(host.CheckHugepages()), "true | 2 MiB: 4 of 6 free, node 0 3 of 4, node 1 1 of 2, 1 GiB: 1 of 1 free | ")
	pools, err := host.Hugepages()
	wanted := []dpdk.HugepagePool{{-1, 2048, 6, 4}, {0, 2048, 4, 3}, {1, 2048, 2, 1}, {-1, 1 << 20, 1, 1}}
	if diff := cmp.Diff(wanted, pools); err != nil || diff != "" {
		t.Error(err, diff)
	}
	kernel.Write("kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "many\n")
	check("wrong count", text(host.CheckHugepages()), "false | count the huge pages")
}

func pages(kernel *dpdktest.Kernel, dir string, size, total, free int) {
	dir = fmt.Sprintf("%s/hugepages-%dkB", dir, size)
	kernel.Write(dir+"/nr_hugepages", fmt.Sprintln(total))
	kernel.Write(dir+"/free_hugepages", fmt.Sprintln(free))
}

func TestLoadModule(t *testing.T) {
	program := filepath.Join(t.TempDir(), "modprobe")
	const script = `#!/bin/sh
test "$1" = -- || exit 9
case $2 in
vfio-pci) exit 0 ;;
slow) exec sleep 60 ;;
esac
echo "modprobe: FATAL: Module $2 not found." >&2
exit 1
`
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	host := open(t, node(t))
	dpdk.Modprobe(host, program)
	if err := host.LoadModule(t.Context(), "vfio-pci"); err != nil {
		t.Error(err)
	}
	said(t, host.LoadModule(t.Context(), "none"), "load the module none", "Module none not found")
	said(t, host.LoadModule(t.Context(), "-r"), `"-r" is not the name of a module`)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := host.LoadModule(ctx, "slow"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("slow: %v", err)
	}
	dpdk.Modprobe(host, filepath.Join(t.TempDir(), "none"))
	said(t, host.LoadModule(t.Context(), "vfio-pci"), "no such file")
}

func TestCheckNoIOMMU(t *testing.T) {
	kernel := dpdktest.New(t)
	host := open(t, kernel)
	for _, test := range []struct{ state, want string }{
		{"", "false vfio is not loaded, or its kernel was built without CONFIG_VFIO_NOIOMMU: modprobe vfio enable_unsafe_noiommu_mode=1"},
		{"N\n", "false vfio is not set to take devices without IOMMU: echo Y > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode"},
		{"Y\n", "true vfio takes devices without IOMMU: "},
	} {
		if test.state != "" {
			kernel.Write("module/vfio/parameters/enable_unsafe_noiommu_mode", test.state)
		}
		ok, message, mend := host.CheckNoIOMMU()
		if got := fmt.Sprintf("%v %s: %s", ok, message, mend); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestCheckHugepagesMount(t *testing.T) {
	dir := t.TempDir()
	for _, each := range []struct{ dir, want string }{
		{dir, "no hugetlbfs is mounted at " + dir},
		{dir + "/none", "no such file or directory"},
	} {
		ok, message, mend := dpdk.CheckHugepagesMount(each.dir)
		if ok || !strings.Contains(message, each.want) || !strings.Contains(mend, "mount -t hugetlbfs none "+each.dir) {
			t.Errorf("%s: %v, %s, %s", each.dir, ok, message, mend)
		}
	}
}
