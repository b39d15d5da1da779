package dpdk_test

import (
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
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	first  = "0000:01:10.0"
	second = "0000:01:10.2"
)

func address(t testing.TB, text string) vf.PCIAddress {
	t.Helper()
	parsed, err := vf.ParsePCIAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// open opens a host whose writes the kernel answers at once.
func open(t *testing.T, kernel *dpdktest.Kernel) *dpdk.Host {
	t.Helper()
	host, err := dpdk.Open(kernel.Dir, kernel.Dev)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	dpdk.Writes(host, kernel.Store)
	dpdk.Settle(host, 20*time.Millisecond)
	return host
}

// node is a kernel with the drivers of a NIC and those for user space, and one VF at rest.
func node(t *testing.T) *dpdktest.Kernel {
	t.Helper()
	kernel := dpdktest.New(t, "igb", "igbvf", "vfio-pci", "igb_uio")
	kernel.AddDevice(first, dpdktest.Device{Driver: "igbvf", Native: "igbvf", Group: 12})
	return kernel
}

// said checks an error by what a person must find in it.
func said(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, wanted one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}

// failer is a test or a property's try.
type failer interface {
	Helper()
	Fatal(...any)
	Errorf(string, ...any)
}

// state is what a device has of drivers, as text.
func state(t failer, kernel *dpdktest.Kernel, address string) string {
	t.Helper()
	driver := "-"
	if target, err := os.Readlink(filepath.Join(kernel.Dir, "bus/pci/devices", address, "driver")); err == nil {
		driver = filepath.Base(target)
	}
	override, err := os.ReadFile(filepath.Join(kernel.Dir, "bus/pci/devices", address, "driver_override"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(override), "\n")
	return driver + " override " + line
}

func wantState(t failer, kernel *dpdktest.Kernel, wanted string) {
	t.Helper()
	if got := state(t, kernel, first); got != wanted {
		t.Errorf("state %q, wanted %q; writes: %q", got, wanted, kernel.Writes)
	}
}

func TestOpenWhatIsNotThere(t *testing.T) {
	if _, err := dpdk.Open(filepath.Join(t.TempDir(), "none"), t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("sysfs: %v", err)
	}
	if _, err := dpdk.Open(t.TempDir(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("dev: %v", err)
	}
}

func TestWriteNeverCreates(t *testing.T) {
	kernel := node(t)
	host := open(t, kernel)
	if err := dpdk.Write(host, "bus/pci/rescan", "1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("write: %v", err)
	}
	if _, err := os.Stat(filepath.Join(kernel.Dir, "bus/pci/rescan")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat: %v", err)
	}
}

// A pollable file that answers EAGAIN stands for sysfs's: os.File.Write would wait until it is ready, here for ever.
func TestWriteSaysTryAgain(t *testing.T) {
	t.Attr("fault", "24")
	kernel := node(t)
	host := open(t, kernel)
	name := filepath.Join(kernel.Dir, "full")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for err == nil {
		err = dpdk.Write(host, "full", strings.Repeat("x", 4096))
	}
	if !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("write: %v", err)
	}
}
