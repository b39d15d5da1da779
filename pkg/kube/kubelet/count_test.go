package kubelet

import (
	"fmt"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
)

// TestCounts: what is measured is what the kubelet was told, and whether it knows of the resource at all.
func TestCounts(t *testing.T) {
	b, _ := newBench(t, 1, 2)
	counts := func() string {
		counts, twice := b.Counts()
		return fmt.Sprint(counts, twice)
	}
	b.kubelet.Eventually("[{sriov.nri.io/a true 2 0} {sriov.nri.io/b true 2 0}] 0", counts)
	first := attachtest.VFAddress(0, 0).String()
	for i, resource := range []string{resA, resB} {
		if _, err := b.kubelet.Allocate(fmt.Sprint("prod/", i), "app", resource, []string{first}); err != nil {
			t.Fatal(err)
		}
	}
	b.kubelet.Eventually("[{sriov.nri.io/a true 2 0} {sriov.nri.io/b true 1 1}] 1", counts)
	b.kubelet.Stop()
	b.kubelet.Eventually("[{sriov.nri.io/a false 2 0} {sriov.nri.io/b false 1 1}] 1", counts)
	b.kubelet.Start()
	b.kubelet.Eventually("[{sriov.nri.io/a true 2 0} {sriov.nri.io/b true 1 1}] 1", counts)
}
