package vf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hostWithCPUs has a sysfs whose NUMA nodes have these CPUs.
func hostWithCPUs(t *testing.T, nodes map[string]string) *Host {
	t.Helper()
	dir := t.TempDir()
	for node, list := range nodes {
		folder := filepath.Join(dir, numaNodes, node)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "cpulist"), []byte(list), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return &Host{sysfs: root}
}

func TestNUMANodes(t *testing.T) {
	host := hostWithCPUs(t, map[string]string{
		"node0": "0-3,8-11\n", "node1": "4-7,12-15\n", "node10": "16\n", "node2": "\n", "power": "x", "nodes": "x",
	})
	for cpus, want := range map[string]string{
		"0": "[0]", "0-3,8": "[0]", "4": "[1]", "3-4": "[0 1]", "0-65535": "[0 1 10]", "16,5,0": "[0 1 10]", "99": "[]", "": "[]",
		"8-11,1": "[0]",
	} {
		nodes, err := host.NUMANodes(cpus)
		if got := fmt.Sprint(nodes); err != nil || got != want {
			t.Errorf("%q: %s, %v", cpus, got, err)
		}
	}
	for _, cpus := range []string{
		"x", "1,", ",1", "1-", "-1", "3-1", "1--2", "1-2-3", "65536", "0-65536", "99999999999999999999", "+1", "0x1", "1 ", " 1",
		"0-31:4/8", "all", "N", "1\n", "1_0", strings.Repeat("1,", maxCPUList) + "1",
	} {
		if nodes, err := host.NUMANodes(cpus); err == nil {
			t.Errorf("%.40q: %v", cpus, nodes)
		}
	}
}

func TestNoNUMA(t *testing.T) {
	if nodes, err := hostWithCPUs(t, nil).NUMANodes("0-3"); err != nil || len(nodes) != 0 {
		t.Errorf("%v, %v", nodes, err)
	}
	if nodes, err := hostWithCPUs(t, map[string]string{"node0": "garbage"}).NUMANodes("0-3"); err == nil {
		t.Errorf("a kernel that makes no sense: %v", nodes)
	}
}

// FuzzParseCPUs: what is read is within bounds, and is what was written.
func FuzzParseCPUs(f *testing.F) {
	for _, seed := range []string{"", "0-3,8", "0", "65535", "3-1", "1,,2", "0-31:4/8", "007"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		ranges, err := parseCPUs(list)
		if err != nil {
			return
		}
		var parts []string
		for _, one := range ranges {
			if one.first < 0 || one.last > maxCPU || one.last < one.first {
				t.Fatalf("%q: %v", list, one)
			}
			parts = append(parts, fmt.Sprintf("%d-%d", one.first, one.last))
		}
		again, err := parseCPUs(strings.Join(parts, ","))
		if len(parts) > 0 && len(strings.Join(parts, ",")) <= maxCPUList && (err != nil || fmt.Sprint(again) != fmt.Sprint(ranges)) {
			t.Fatalf("%q: %v, then %v, %v", list, ranges, again, err)
		}
	})
}
