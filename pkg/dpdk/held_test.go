package dpdk_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A group's node that answers EBUSY, and a process with a node open, are in the lab only.

func TestResettable(t *testing.T) {
	kernel := node(t)
	host := open(t, kernel)
	if err := host.Resettable(address(t, first)); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(kernel.Dir, "bus/pci/devices", first, "reset")); err != nil {
		t.Fatal(err)
	}
	if err := host.Resettable(address(t, first)); err == nil || !strings.Contains(err.Error(), "cannot be reset") {
		t.Error(err)
	}
}

// TestNobodyHolds: without a node, and with one that nobody has open.
func TestNobodyHolds(t *testing.T) {
	kernel := node(t)
	host := open(t, kernel)
	vf := address(t, first)
	for _, driver := range []string{"", "vfio-pci"} {
		if driver != "" {
			if err := host.Bind(t.Context(), vf, driver); err != nil {
				t.Fatal(err)
			}
			group, err := host.Group(vf)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(kernel.Dev, "vfio", strconv.Itoa(group.Number))
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if busy, err := host.Busy(vf); err != nil || busy {
			t.Errorf("bound to %q: busy %t, %v", driver, busy, err)
		}
		if err := host.Unheld(t.Context(), "/proc", vf); err != nil {
			t.Errorf("bound to %q: %v", driver, err)
		}
	}
}
