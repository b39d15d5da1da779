package dpdk_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk/dpdktest"
)

func TestBindAndRestore(t *testing.T) {
	kernel := node(t)
	host := open(t, kernel)
	vf := address(t, first)
	steps := []struct {
		name   string
		run    func() error
		state  string
		writes int
	}{
		{"bind", func() error { return host.Bind(t.Context(), vf, "vfio-pci") }, "vfio-pci override vfio-pci", 3},
		{"bind again", func() error { return host.Bind(t.Context(), vf, "vfio-pci") }, "vfio-pci override vfio-pci", 0},
		{"from one to the other", func() error { return host.Bind(t.Context(), vf, "igb_uio") }, "igb_uio override igb_uio", 3},
		{"restore to a resting driver", func() error { return host.Restore(t.Context(), vf, "vfio-pci") }, "vfio-pci override vfio-pci", 3},
		{"restore", func() error { return host.Restore(t.Context(), vf, "igbvf") }, "igbvf override (null)", 3},
		{"restore again", func() error { return host.Restore(t.Context(), vf, "igbvf") }, "igbvf override (null)", 0},
		{"restore to any", func() error { return host.Restore(t.Context(), vf, "") }, "igbvf override (null)", 0},
		{"unbind", func() error { return host.Unbind(t.Context(), vf) }, "- override (null)", 1},
		{"unbind again", func() error { return host.Unbind(t.Context(), vf) }, "- override (null)", 0},
		{"bind from none", func() error { return host.Bind(t.Context(), vf, "vfio-pci") }, "vfio-pci override vfio-pci", 2},
		{"restore to the kernel's choice", func() error { return host.Restore(t.Context(), vf, "") }, "igbvf override (null)", 3},
	}
	for _, step := range steps {
		kernel.Writes = nil
		if err := step.run(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		wantState(t, kernel, step.state)
		if len(kernel.Writes) != step.writes {
			t.Errorf("%s: %d writes, wanted %d: %q", step.name, len(kernel.Writes), step.writes, kernel.Writes)
		}
	}
}

func TestBindRefused(t *testing.T) {
	tests := []struct {
		name, driver string
		change       func(*dpdktest.Kernel)
		said         []string
		state        string
	}{
		{"no such driver", "uio_pci_generic", nil, []string{"bind 0000:01:10.0 to uio_pci_generic", "modprobe uio_pci_generic"}, "igbvf override (null)"},
		{"no name", "../../x", nil, []string{`"../../x" is not the name of a driver`}, "igbvf override (null)"},
		{"the driver says no", "vfio-pci", func(k *dpdktest.Kernel) { k.Refusals["vfio-pci"] = syscall.EINVAL },
			[]string{"vfio-pci does not take it", "invalid argument", "it is back at igbvf"}, "igbvf override (null)"},
		{"another's override stays", "vfio-pci", func(k *dpdktest.Kernel) {
			k.Refusals["vfio-pci"] = syscall.EINVAL
			k.Write("bus/pci/devices/"+first+"/driver_override", "igbvf\n")
		}, []string{"it is back at igbvf"}, "igbvf override igbvf"},
		{"our own override does not", "vfio-pci", func(k *dpdktest.Kernel) {
			k.Refusals["vfio-pci"] = syscall.EINVAL
			k.Write("bus/pci/devices/"+first+"/driver_override", "vfio-pci\n")
		}, []string{"it is back at igbvf"}, "igbvf override (null)"},
		{"neither takes it", "vfio-pci", func(k *dpdktest.Kernel) {
			k.Refusals["vfio-pci"], k.Refusals["igbvf"] = syscall.EINVAL, syscall.ENOMEM
		}, []string{"invalid argument", "it is not back at igbvf", "cannot allocate memory"}, "- override (null)"},
		{"a PF with VFs", "vfio-pci", func(k *dpdktest.Kernel) {
			k.Write("bus/pci/devices/"+first+"/sriov_numvfs", "7\n")
		}, []string{"a PF with VFs (7)"}, "igbvf override (null)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			kernel := node(t)
			if test.change != nil {
				test.change(kernel)
			}
			host := open(t, kernel)
			said(t, host.Bind(t.Context(), address(t, first), test.driver), test.said...)
			wantState(t, kernel, test.state)
		})
	}
}

func TestBindWithoutIOMMU(t *testing.T) {
	kernel := dpdktest.New(t, "igbvf", "vfio-pci")
	kernel.AddDevice(first, dpdktest.Device{Driver: "igbvf", Native: "igbvf", Group: -1})
	kernel.Refusals["vfio-pci"] = syscall.EINVAL
	said(t, open(t, kernel).Bind(t.Context(), address(t, first), "vfio-pci"), "the IOMMU is off", "intel_iommu=on", "it is back at igbvf")
}

func TestBindOfNothing(t *testing.T) {
	host := open(t, node(t))
	for _, err := range []error{
		host.Bind(t.Context(), address(t, second), "vfio-pci"),
		host.Unbind(t.Context(), address(t, second)),
		host.Restore(t.Context(), address(t, second), "igbvf"),
		host.Reset(t.Context(), address(t, second)),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v", err)
		}
	}
}

func TestRestoreRefused(t *testing.T) {
	kernel := node(t)
	host := open(t, kernel)
	vf := address(t, first)
	if err := host.Bind(t.Context(), vf, "vfio-pci"); err != nil {
		t.Fatal(err)
	}
	said(t, host.Restore(t.Context(), vf, "iavf"), "give 0000:01:10.0 back to iavf", "modprobe iavf")
	wantState(t, kernel, "vfio-pci override vfio-pci")
	kernel.Write("bus/pci/devices/"+first+"/sriov_numvfs", "2\n")
	said(t, host.Restore(t.Context(), vf, "igbvf"), "a PF with VFs (2)")
	said(t, host.Unbind(t.Context(), vf), "a PF with VFs (2)")
	kernel.Write("bus/pci/devices/"+first+"/sriov_numvfs", "0\n")
	kernel.Refusals["igbvf"] = syscall.ENOMEM
	said(t, host.Restore(t.Context(), vf, ""), "the kernel's own driver", "no driver of the kernel takes it")
	wantState(t, kernel, "- override (null)")
	said(t, host.Restore(t.Context(), vf, "igbvf"), "cannot allocate memory")
	delete(kernel.Refusals, "igbvf")
	if err := host.Restore(t.Context(), vf, "igbvf"); err != nil {
		t.Error(err)
	}
	wantState(t, kernel, "igbvf override (null)")
}

// A context that ends in the middle of it stops the next write, and what was begun is put back.
func TestBindCalledOff(t *testing.T) {
	kernel := node(t)
	host := open(t, kernel)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dpdk.Writes(host, func(name, text string) error {
		if strings.HasSuffix(name, "/unbind") {
			cancel()
		}
		return kernel.Store(name, text)
	})
	err := host.Bind(ctx, address(t, first), "vfio-pci")
	said(t, err, "context canceled", "it is back at igbvf")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v is no context.Canceled", err)
	}
	wantState(t, kernel, "igbvf override (null)")
}

func TestBindWaitsForTheContextAtMost(t *testing.T) {
	kernel := node(t)
	host := open(t, kernel)
	dpdk.Settle(host, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dpdk.Writes(host, func(name, text string) error {
		if strings.HasSuffix(name, "/drivers_probe") && ctx.Err() == nil {
			time.AfterFunc(10*time.Millisecond, cancel)
			return nil // a driver that takes its time
		}
		return kernel.Store(name, text)
	})
	said(t, host.Bind(ctx, address(t, first), "vfio-pci"), "context canceled", "it is back at igbvf")
	wantState(t, kernel, "igbvf override (null)")
}

// Somebody else unbinds the device in the same moment.
func TestUnbindWhatIsUnboundMeanwhile(t *testing.T) {
	t.Attr("fault", "20")
	kernel := node(t)
	host := open(t, kernel)
	dpdk.Writes(host, func(name, text string) error {
		if strings.HasSuffix(name, "/unbind") {
			if err := os.Remove(filepath.Join(kernel.Dir, "bus/pci/devices", first, "driver")); err != nil {
				t.Error(err)
			}
		}
		return kernel.Store(name, text)
	})
	if err := host.Bind(t.Context(), address(t, first), "vfio-pci"); err != nil {
		t.Error(err)
	}
	wantState(t, kernel, "vfio-pci override vfio-pci")
}

// The kernel holds a write for as long as somebody has the device open. Its caller waits, with or without a context;
// other devices do not.
func TestUnbindThatHangs(t *testing.T) {
	t.Attr("fault", "29")
	kernel := node(t)
	kernel.AddDevice(second, dpdktest.Device{Driver: "igbvf", Native: "igbvf", Group: 13})
	host := open(t, kernel)
	entered, release := make(chan struct{}), make(chan struct{})
	dpdk.Writes(host, func(name, text string) error {
		if strings.HasSuffix(name, "/unbind") && text == first {
			close(entered)
			<-release
		}
		return kernel.Store(name, text)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- host.Bind(ctx, address(t, first), "vfio-pci") }()
	<-entered
	cancel()
	if err := host.Bind(t.Context(), address(t, second), "vfio-pci"); err != nil {
		t.Error(err)
	}
	select {
	case err := <-done:
		t.Errorf("came back: %v", err)
	default:
	}
	close(release)
	said(t, <-done, "context canceled", "it is back at igbvf")
	wantState(t, kernel, "igbvf override (null)")
}

// A driver that is quicker than the one that was asked for keeps the device, and is named.
func TestRestoreToWhatIsNotItsDriver(t *testing.T) {
	t.Attr("fault", "20")
	kernel := node(t)
	host := open(t, kernel)
	said(t, host.Restore(t.Context(), address(t, first), "igb"), "igbvf was faster than igb")
	wantState(t, kernel, "igbvf override (null)")
}

// Binding by writes into files, whose effects come later and without an answer.
func TestBindThroughFiles(t *testing.T) {
	kernel := node(t)
	kernel.Run()
	host, err := dpdk.Open(kernel.Dir, kernel.Dev)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	vf := address(t, first)
	for range 3 {
		if err := host.Bind(t.Context(), vf, "vfio-pci"); err != nil {
			t.Fatal(err)
		}
		wantState(t, kernel, "vfio-pci override vfio-pci")
		if err := host.Restore(t.Context(), vf, "igbvf"); err != nil {
			t.Fatal(err)
		}
		wantState(t, kernel, "igbvf override ")
	}
}
