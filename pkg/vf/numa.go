package vf

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	numaNodes = "devices/system/node"
	// maxCPU is the greatest number of a CPU that is believed: the kernel has at most 8192 (CONFIG_NR_CPUS).
	maxCPU = 1<<16 - 1
	// maxCPUList is the length in bytes of the longest list that is read.
	maxCPUList = 1 << 16
)

// NUMANodes tells which NUMA nodes the CPUs of a cpuset belong to, in ascending order. The list is such as "0-3,8", the
// form "List format" of cpuset(7). CPUs that the node does not have, or that are offline, belong to none; where the kernel
// has no NUMA, all do.
func (h *Host) NUMANodes(cpus string) ([]int, error) {
	wanted, err := parseCPUs(cpus)
	if err != nil {
		return nil, fmt.Errorf("find the NUMA nodes of CPUs: %w", err)
	}
	entries, err := h.readDir(numaNodes)
	if errors.Is(err, fs.ErrNotExist) || len(wanted) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list NUMA nodes: %w", err)
	}
	var nodes []int
	for _, entry := range entries {
		digits, ok := strings.CutPrefix(entry, "node")
		node, err := strconv.Atoi(digits)
		if !ok || err != nil {
			continue
		}
		list, err := h.text(path.Join(numaNodes, entry, "cpulist"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the CPUs of NUMA node %d: %w", node, err)
		}
		have, err := parseCPUs(list)
		if err != nil {
			return nil, fmt.Errorf("read the CPUs of NUMA node %d: %w", node, err)
		}
		if overlap(wanted, have) {
			nodes = append(nodes, node)
		}
	}
	slices.Sort(nodes)
	return nodes, nil
}

// cpuRange is a range of CPUs, both ends included.
type cpuRange struct{ first, last int }

// parseCPUs reads a list of CPUs and ranges of CPUs. The empty list has none; a node with memory only has that. Blanks,
// strides, and names of CPUs are refused, though the kernel takes some of them: it never writes them.
func parseCPUs(list string) ([]cpuRange, error) {
	if list == "" {
		return nil, nil
	}
	if len(list) > maxCPUList {
		return nil, fmt.Errorf("a list of CPUs of %d bytes", len(list))
	}
	var ranges []cpuRange
	for part := range strings.SplitSeq(list, ",") {
		from, to, several := strings.Cut(part, "-")
		first, err := parseCPU(from)
		last := first
		if err == nil && several {
			last, err = parseCPU(to)
		}
		if err == nil && last < first {
			err = fmt.Errorf("%q ends before it begins", part)
		}
		if err != nil {
			return nil, fmt.Errorf("list of CPUs: %w", err)
		}
		ranges = append(ranges, cpuRange{first, last})
	}
	return ranges, nil
}

func parseCPU(text string) (int, error) {
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number > maxCPU {
		return 0, fmt.Errorf("%q is no number of a CPU, 0 to %d", text, maxCPU)
	}
	return int(number), nil
}

func overlap(a, b []cpuRange) bool {
	return slices.ContainsFunc(a, func(one cpuRange) bool {
		return slices.ContainsFunc(b, func(other cpuRange) bool { return one.first <= other.last && other.first <= one.last })
	})
}
