package placement_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

// flat is a host with n providers right below it.
func flat(t testing.TB, n int, provider func(i int) placement.Provider) *placement.Tree {
	t.Helper()
	providers := []placement.Provider{{Name: "host"}}
	for i := range n {
		one := provider(i)
		one.Name, one.Parent = fmt.Sprintf("pf%d", i), "host"
		providers = append(providers, one)
	}
	tree, err := placement.NewTree(providers)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func vfs(total int) map[string]placement.Inventory {
	return map[string]placement.Inventory{"SRIOV_NET_VF": placement.NewInventory(total)}
}

func numbered(n int, policy string, group func(i int) placement.Group) placement.Question {
	q := placement.Question{GroupPolicy: policy}
	for i := range n {
		one := group(i)
		one.Suffix = fmt.Sprintf("g%02d", i)
		q.Groups = append(q.Groups, one)
	}
	return q
}

type hostileQuestion struct {
	name     string
	tree     *placement.Tree
	question placement.Question
	// cut tells that the search is ended by its steps, found that there is a candidate.
	cut, found bool
}

func hostileQuestions(t *testing.T) []hostileQuestion {
	one := amount(1)
	return []hostileQuestion{
		{name: "every group on a provider of its own, one too many",
			tree:     flat(t, 63, func(int) placement.Provider { return placement.Provider{Inventories: vfs(8)} }),
			question: numbered(64, "isolate", func(int) placement.Group { return placement.Group{Resources: one} })},
		{name: "the groups that can choose come first and take what the last need",
			tree: flat(t, 40, func(i int) placement.Provider {
				return placement.Provider{Inventories: vfs(1), Traits: []string{[]string{"CUSTOM_A", "CUSTOM_B"}[i/20]}}
			}),
			question: numbered(40, "none", func(i int) placement.Group {
				return placement.Group{Resources: one, Required: []string{[]string{"in:CUSTOM_A,CUSTOM_B", "CUSTOM_A"}[i/20]}}
			}), found: true},
		{name: "the same on different providers, and one too many",
			tree: flat(t, 40, func(i int) placement.Provider {
				return placement.Provider{Inventories: vfs(9), Traits: []string{[]string{"CUSTOM_A", "CUSTOM_B"}[i/20]}}
			}),
			question: numbered(40, "isolate", func(i int) placement.Group {
				return placement.Group{Resources: one, Required: []string{[]string{"in:CUSTOM_A,CUSTOM_B", "CUSTOM_A"}[min(1, (i+1)/20)]}}
			})},
		{name: "a contract's 32 VFs on 8 PFs that are full but for 31",
			tree:     flat(t, 8, func(i int) placement.Provider { return placement.Provider{Inventories: vfs(4 - i/7)} }),
			question: numbered(32, "none", func(int) placement.Group { return placement.Group{Resources: one} })},
		{name: "more than there is, of which no provider alone has too little",
			tree:     flat(t, 16, func(int) placement.Provider { return placement.Provider{Inventories: vfs(1000)} }),
			question: numbered(48, "none", func(i int) placement.Group { return placement.Group{Resources: amount(332 + i*7%5)} })},
		{name: "bins: 17 amounts of more than a half, and small ones",
			tree: flat(t, 16, func(int) placement.Provider { return placement.Provider{Inventories: vfs(1000)} }),
			question: numbered(37, "none", func(i int) placement.Group {
				return placement.Group{Resources: amount([]int{501, 10}[min(1, i/17)])}
			}),
			cut: true},
		{name: "many classes anywhere, and a trait that only the last can have",
			tree: flat(t, 60, func(i int) placement.Provider {
				stock := map[string]placement.Inventory{}
				for c := range 32 {
					stock[fmt.Sprintf("CUSTOM_%d", c)] = placement.NewInventory(1)
				}
				return placement.Provider{Inventories: stock, Traits: []string{fmt.Sprintf("CUSTOM_T%d", i)}}
			}),
			question: placement.Question{Groups: []placement.Group{{Required: []string{"CUSTOM_T1,CUSTOM_T2,CUSTOM_T3"}, Resources: classes(32)}}},
			found:    true},
	}
}

// TestHostile: whoever asks chooses the question. Its answer comes in bounded time whatever it is; where the search was
// cut short the reasons say so, and the questions that nodes see in earnest are never cut short.
func TestHostile(t *testing.T) {
	for _, c := range hostileQuestions(t) {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			result, err := placement.First(c.tree, c.question, placement.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%v", time.Since(start))
			if len(result.Candidates) > 0 != c.found || result.CutShort != c.cut {
				t.Errorf("%d candidates, cut short %v: %q", len(result.Candidates), result.CutShort, result.Reasons)
			}
			if c.cut && !strings.Contains(strings.Join(result.Reasons, ""), "ended") {
				t.Errorf("%q does not say that the search was ended", result.Reasons)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			all, err := placement.Candidates(c.tree, c.question, placement.Options{})
			if err != nil || len(all.Candidates) > placement.DefaultLimit || len(all.Candidates) > 0 != c.found {
				t.Errorf("%d candidates, %v", len(all.Candidates), err)
			}
		})
	}
}

func amount(n int) map[string]int { return map[string]int{"SRIOV_NET_VF": n} }

func classes(n int) map[string]int {
	all := map[string]int{}
	for c := range n {
		all[fmt.Sprintf("CUSTOM_%d", c)] = 1
	}
	return all
}

// TestSubtreesHostile: sets of same_subtree over deep trees.
func TestSubtreesHostile(t *testing.T) {
	providers := []placement.Provider{{Name: "p0", Traits: []string{"CUSTOM_TOP"}, Inventories: vfs(1)}}
	for i := 1; i < 500; i++ {
		providers = append(providers, placement.Provider{Name: fmt.Sprintf("p%d", i), Parent: fmt.Sprintf("p%d", i-1), Inventories: vfs(1)})
	}
	tree, err := placement.NewTree(providers)
	if err != nil {
		t.Fatal(err)
	}
	q := numbered(60, "isolate", func(i int) placement.Group {
		return placement.Group{Resources: map[string]int{"SRIOV_NET_VF": 1}, Required: []string{"!CUSTOM_TOP"}}
	})
	for i := range 60 {
		q.SameSubtree = append(q.SameSubtree, []string{fmt.Sprintf("g%02d", i), fmt.Sprintf("g%02d", (i+7)%60), fmt.Sprintf("g%02d", (i+31)%60)})
	}
	start := time.Now()
	result, err := placement.Candidates(tree, q, placement.Options{})
	if took := time.Since(start); err != nil || took > 10*time.Second {
		t.Errorf("%v, %v", took, err)
	}
	t.Logf("%v, %d candidates, cut short %v", time.Since(start), len(result.Candidates), result.CutShort)
}
