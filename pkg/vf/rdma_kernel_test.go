package vf_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/nri-sriov/nri-sriov/pkg/vf/vftest"
)

func TestRDMADevicesOfAFunction(t *testing.T) {
	tree := vftest.NewSysfs(t)
	tree.AddPF("0000:01:00.0", vftest.PF{Interface: "enp1s0np0", Driver: "mlx5_core", TotalVFs: 4, NUMANode: -1})
	for id, one := range []string{"0000:01:00.2", "0000:01:00.3", "0000:01:00.4"} {
		tree.AddVF(one, "0000:01:00.0", id, vftest.VF{Driver: "mlx5_core", IOMMUGroup: -1})
	}
	tree.Write("bus/pci/devices/0000:01:00.2/infiniband/mlx5_3/node_type", "1: CA\n")
	tree.Write("bus/pci/devices/0000:01:00.2/infiniband/mlx5_2/node_type", "1: CA\n")
	tree.Write("bus/pci/devices/0000:01:00.4/infiniband/mlx5 4/node_type", "1: CA\n")
	host := openHost(t, tree)
	for function, want := range map[string][]string{"0000:01:00.2": {"mlx5_2", "mlx5_3"}, "0000:01:00.3": nil} {
		names, err := host.RDMADevices(address(t, function))
		if diff := cmp.Diff(want, names); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", function, err, diff)
		}
	}
	if names, err := host.RDMADevices(address(t, "0000:01:00.4")); err == nil {
		t.Errorf("a name with a space: %q", names)
	}
	if _, err := host.RDMADevices(address(t, "0000:01:00.5")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("RDMA devices of nothing: %v", err)
	}
}

// privateNamespace is one that ends with the test.
func privateNamespace(t *testing.T) (ns *vf.Namespace) {
	t.Helper()
	var err error
	vftest.InPrivateNamespace(t, func() { ns, err = vf.OpenNamespace("/proc/thread-self/ns/net") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
	})
	return ns
}

// rdmaHost opens the host, and tells whether the kernel has RDMA by the class that it then shows in sysfs. That is
// looked up last: the first question is what loads the module.
func rdmaHost(t *testing.T) (host *vf.Host, exclusive, present bool) {
	t.Helper()
	host = openHost(t, vftest.NewSysfs(t))
	exclusive, err := host.RDMAExclusive()
	_, missing := os.Stat("/sys/class/infiniband")
	switch {
	case missing != nil && !errors.Is(err, vf.ErrNoRDMA):
		t.Fatalf("the RDMA mode of a kernel without RDMA: %t, %v", exclusive, err)
	case missing == nil && err != nil:
		t.Fatal(err)
	}
	return host, exclusive, missing == nil
}

func TestRDMAOfTheKernel(t *testing.T) {
	ns := privateNamespace(t)
	host, exclusive, present := rdmaHost(t)
	if !present {
		for _, one := range []*vf.Namespace{host.Namespace(), ns} {
			if names, err := one.RDMADevices(); !errors.Is(err, vf.ErrNoRDMA) {
				t.Errorf("RDMA devices of a kernel without RDMA: %v, %v", names, err)
			}
		}
		return
	}
	mode, err := os.ReadFile("/sys/module/ib_core/parameters/netns_mode")
	if err == nil && exclusive != (strings.TrimSpace(string(mode)) == "N") {
		t.Errorf("exclusive %t, but the shared mode is %s", exclusive, mode)
	}
	entries, err := os.ReadDir("/sys/class/infiniband")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, entry := range entries {
		want = append(want, entry.Name())
	}
	slices.Sort(want)
	names, err := host.Namespace().RDMADevices()
	if diff := cmp.Diff(want, names); diff != "" || err != nil {
		t.Errorf("in the host: %v\n%s", err, diff)
	}
	if exclusive {
		want = nil
	}
	names, err = ns.RDMADevices()
	if diff := cmp.Diff(want, names); diff != "" || err != nil {
		t.Errorf("in a new namespace: %v\n%s", err, diff)
	}
}

func TestMoveOfNoRDMADevice(t *testing.T) {
	ns := privateNamespace(t)
	host, _, present := rdmaHost(t)
	want := vf.ErrNoRDMA
	if present {
		want = vf.ErrNoRDMADevice
	}
	if err := host.MoveRDMA(t.Context(), "no-such-device", ns); !errors.Is(err, want) {
		t.Errorf("out of the host: %v", err)
	}
	if err := ns.MoveRDMA(t.Context(), "no-such-device", host.Namespace()); !errors.Is(err, want) {
		t.Errorf("home: %v", err)
	}
	err := host.MoveRDMA(t.Context(), "../mlx5_2", ns)
	if err == nil || errors.Is(err, vf.ErrNoRDMA) || errors.Is(err, vf.ErrNoRDMADevice) {
		t.Errorf("the kernel was asked for a name that cannot be: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := host.MoveRDMA(ctx, "no-such-device", ns); !errors.Is(err, context.Canceled) {
		t.Errorf("a move after the end: %v", err)
	}
}
