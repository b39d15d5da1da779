package placement_test

import (
	"fmt"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

// bigNode is a host of 2 NUMA nodes, pfs PFs and vfs VFs on each, of which used are in use, spread evenly.
func bigNode(t testing.TB, pfs, vfs, used int) *placement.Tree {
	t.Helper()
	providers := []placement.Provider{{Name: "host"}, {Name: "numa0", Parent: "host"}, {Name: "numa1", Parent: "host"}}
	for i := range pfs {
		stock := placement.NewInventory(vfs)
		stock.Used = used/pfs + min(1, max(0, used%pfs-i))
		providers = append(providers, placement.Provider{
			Name: fmt.Sprintf("pf%d", i), Parent: fmt.Sprintf("numa%d", i*2/pfs),
			Traits:      []string{"HW_NIC_SRIOV", "CUSTOM_PHYSNET_PUBLIC"},
			Inventories: map[string]placement.Inventory{"SRIOV_NET_VF": stock, "NET_BW_EGR_KILOBIT_PER_SEC": placement.NewInventory(100_000_000)},
		})
	}
	tree, err := placement.NewTree(providers)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func groupsOf(n int, policy string) placement.Question {
	q := placement.Question{GroupPolicy: policy}
	for i := range n {
		q.Groups = append(q.Groups, placement.Group{Suffix: fmt.Sprintf("net%d", i+1), Required: []string{"CUSTOM_PHYSNET_PUBLIC"},
			Resources: map[string]int{"SRIOV_NET_VF": 1, "NET_BW_EGR_KILOBIT_PER_SEC": 1_000_000}})
	}
	return q
}

// BenchmarkCandidates asks for four groups on a node of 8 PFs with 128 VFs each, 900 in use.
func BenchmarkCandidates(b *testing.B) {
	tree := bigNode(b, 8, 128, 900)
	for _, c := range []struct {
		name     string
		question placement.Question
		limit    int
		want     int
	}{
		{"none-1000", groupsOf(4, "none"), 0, 1000},
		{"none-all", groupsOf(4, "none"), 5000, 4096},
		{"isolate-all", groupsOf(4, "isolate"), 5000, 8 * 7 * 6 * 5},
		{"refused", groupsOf(9, "isolate"), 0, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				result, err := placement.Candidates(tree, c.question, placement.Options{Limit: c.limit})
				if err != nil || len(result.Candidates) != c.want || result.CutShort {
					b.Fatalf("%d candidates, %v, %v", len(result.Candidates), result.CutShort, err)
				}
			}
		})
	}
}

// BenchmarkFirst asks for one answer for one group, then for four that spread, against the number of VFs.
func BenchmarkFirst(b *testing.B) {
	spread := func(_ string, x, y placement.Offer) int { return y.Free - x.Free }
	for _, groups := range []int{1, 4} {
		for _, vfs := range []int{1, 16, 256} {
			tree := bigNode(b, 8, vfs, 8*vfs*7/8)
			question := groupsOf(groups, "none")
			b.Run(fmt.Sprintf("groups=%d/vfs=%d", groups, 8*vfs), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := placement.First(tree, question, placement.Options{Prefer: spread}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkLedger claims and releases a candidate.
func BenchmarkLedger(b *testing.B) {
	ledger := placement.NewLedger(bigNode(b, 8, 128, 900))
	for i := range 100 {
		if err := ledger.Claim(fmt.Sprint(i), placement.Allocations{"pf0": {"NET_BW_EGR_KILOBIT_PER_SEC": 1000}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := ledger.Claim("pod", placement.Allocations{"pf3": {"SRIOV_NET_VF": 1, "NET_BW_EGR_KILOBIT_PER_SEC": 1000}}); err != nil {
			b.Fatal(err)
		}
		if err := ledger.Release("pod"); err != nil {
			b.Fatal(err)
		}
	}
}
