package placement_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

type pciClaim struct {
	ID    string
	Pools map[string]struct {
		Free    []string
		Tracked *bool
	}
	Requests []struct {
		ID    string
		Count int
	}
	Mappings map[string][]string
	Expect   struct {
		Outcome string
		Taken   map[string]map[string]int
		Left    map[string]int
	}
}

func TestClaims(t *testing.T) {
	for _, c := range readCases(t).Claims {
		t.Run(c.ID, func(t *testing.T) { c.check(t) })
	}
}

// check plays a claim: a request of n VFs is n groups of one, <id>-<index>.
func (c pciClaim) check(t *testing.T) {
	t.Helper()
	described := map[string]placement.Pool{}
	for pf, pool := range c.Pools {
		described[pf] = placement.Pool{Free: pool.Free, Untracked: pool.Tracked != nil && !*pool.Tracked}
	}
	pools := placement.NewPools(described)
	var groups []placement.GroupVFs
	requestOf := map[string]string{}
	for _, request := range c.Requests {
		for i := range request.Count {
			suffix := fmt.Sprintf("%s-%d", request.ID, i)
			requestOf[suffix] = request.ID
			groups = append(groups, placement.GroupVFs{Suffix: suffix, Count: 1})
		}
	}
	var taken map[string][]placement.Taken
	var err error
	if len(c.Mappings) == 0 {
		taken, err = pools.TakeAny("pod", groups)
	} else {
		taken, err = pools.Take("pod", groups, c.Mappings)
	}
	left := c.Expect.Left
	if c.Expect.Outcome == "refused" {
		left = map[string]int{}
		for pf, pool := range c.Pools {
			left[pf] = len(pool.Free)
		}
		if !errors.Is(err, placement.ErrNoVF) {
			t.Fatalf("%v, want a refusal", err)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string]int{}
	for suffix, vfs := range taken {
		for _, one := range vfs {
			if got[requestOf[suffix]] == nil {
				got[requestOf[suffix]] = map[string]int{}
			}
			got[requestOf[suffix]][one.PF]++
			if !slices.Contains(c.Pools[one.PF].Free, one.VF) {
				t.Errorf("%s is no VF of %s", one.VF, one.PF)
			}
		}
	}
	same(t, c.Expect.Taken, got)
	for pf, n := range left {
		if len(pools.Free(pf)) != n {
			t.Errorf("%s has %d left, want %d", pf, len(pools.Free(pf)), n)
		}
	}
	pools.Put("pod")
	for pf, pool := range c.Pools {
		if !slices.Equal(pools.Free(pf), pool.Free) {
			t.Errorf("%s has %v after all was given back, want %v", pf, pools.Free(pf), pool.Free)
		}
	}
}

// TestShortClaim: what is free is checked for each group and not by the sum, which would hand out one VF of two.
func TestShortClaim(t *testing.T) {
	for _, deviation := range readCases(t).Deviations {
		if deviation.ID == "DEV-08" {
			claim := deviation.pciClaim
			claim.Expect.Outcome = "refused"
			claim.check(t)
			return
		}
	}
	t.Fatal("the file has no DEV-08")
}

// TestExactSuffix: a group's mapping is found by its very suffix; "net" is not the beginning of "net1-0".
func TestExactSuffix(t *testing.T) {
	pools := placement.NewPools(map[string]placement.Pool{"a": {Free: []string{"a0"}}, "b": {Free: []string{"b0"}}})
	taken, err := pools.Take("pod", []placement.GroupVFs{{Suffix: "net", Count: 1}, {Suffix: "net1-0", Count: 1}},
		map[string][]string{"net": {"b"}, "net1-0": {"a"}, "net1": {"b"}})
	if err != nil || taken["net"][0].VF != "b0" || taken["net1-0"][0].VF != "a0" {
		t.Errorf("%v, %v", taken, err)
	}
}
