package placement

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrNoVF says that a group's VFs are not there on the PF that the group was mapped to.
var ErrNoVF = errors.New("no VF on the mapped PF")

// Pool is the VFs of one PF.
type Pool struct {
	// Free are VFs, the one first that is taken first.
	Free []string
	// Untracked PFs are in no tree of providers; they are never used.
	Untracked bool
}

// GroupVFs is a group of a question that wants VFs.
type GroupVFs struct {
	Suffix string
	// Count of VFs, all of them of the group's one PF; at least 1.
	Count int
}

// Taken is a VF with its PF.
type Taken struct{ PF, VF string }

// Pools choose the VFs of a claim, once a candidate chose the PFs. They know who has which.
type Pools struct {
	pools map[string]*Pool
	taken map[string][]Taken
}

// NewPools copies the pools, by PF.
func NewPools(pools map[string]Pool) *Pools {
	p := &Pools{pools: map[string]*Pool{}, taken: map[string][]Taken{}}
	for pf, pool := range pools {
		p.pools[pf] = &Pool{Free: slices.Clone(pool.Free), Untracked: pool.Untracked}
	}
	return p
}

// Free are the free VFs of a PF.
func (p *Pools) Free(pf string) []string {
	if pool := p.pools[pf]; pool != nil {
		return slices.Clone(pool.Free)
	}
	return nil
}

// Take gives a consumer the VFs of all groups or of none: for each group those of exactly the PF that the mappings of
// its candidate name under its very suffix, checked group by group and never by the sum, and never of another PF
// however many that one has. A VF that is missing, although the ledger counted it, is ErrNoVF: the inventory is wrong
// then, and the claim must be given back.
func (p *Pools) Take(consumer string, groups []GroupVFs, mappings map[string][]string) (map[string][]Taken, error) {
	return p.take(consumer, groups, func(g GroupVFs) ([]string, error) {
		pfs := mappings[g.Suffix]
		switch {
		case len(pfs) != 1:
			return nil, fmt.Errorf("group %s is mapped to %d PFs, not to one: %w", quote(g.Suffix), len(pfs), ErrNoVF)
		case p.pools[pfs[0]] == nil || p.pools[pfs[0]].Untracked:
			return nil, fmt.Errorf("group %s is mapped to %s, which is not offered: %w", quote(g.Suffix), quote(pfs[0]), ErrNoVF)
		case len(p.pools[pfs[0]].Free) < g.Count:
			return nil, fmt.Errorf("group %s: %s has %d of %d VFs free: %w", quote(g.Suffix), pfs[0], len(p.pools[pfs[0]].Free), g.Count, ErrNoVF)
		}
		return slices.Repeat(pfs, g.Count), nil
	})
}

// TakeAny gives the VFs of all groups or of none from whatever PFs have them, those first that come first by name. It
// is for claims of before there were mappings; it is the very summing over PFs that a mapping keeps off.
func (p *Pools) TakeAny(consumer string, groups []GroupVFs) (map[string][]Taken, error) {
	return p.take(consumer, groups, func(g GroupVFs) ([]string, error) {
		var pfs []string
		for _, pf := range slices.Sorted(maps.Keys(p.pools)) {
			if pool := p.pools[pf]; !pool.Untracked {
				pfs = append(pfs, slices.Repeat([]string{pf}, min(len(pool.Free), g.Count-len(pfs)))...)
			}
		}
		if len(pfs) < g.Count {
			return nil, fmt.Errorf("group %s: %d of %d VFs are free: %w", quote(g.Suffix), len(pfs), g.Count, ErrNoVF)
		}
		return pfs, nil
	})
}

// take asks for each group in turn from which PFs its VFs come. On a refusal all VFs are back where they were.
func (p *Pools) take(consumer string, groups []GroupVFs, from func(GroupVFs) ([]string, error)) (map[string][]Taken, error) {
	if len(p.taken[consumer]) > 0 {
		return nil, fmt.Errorf("consumer %s has VFs already", quote(consumer))
	}
	all := map[string][]Taken{}
	for _, g := range groups {
		if g.Count < 1 || all[g.Suffix] != nil {
			p.Put(consumer)
			return nil, fmt.Errorf("group %s is there twice, or wants %d VFs", quote(g.Suffix), g.Count)
		}
		pfs, err := from(g)
		if err != nil {
			p.Put(consumer)
			return nil, err
		}
		for _, pf := range pfs {
			pool := p.pools[pf]
			one := Taken{PF: pf, VF: pool.Free[0]}
			pool.Free = pool.Free[1:]
			all[g.Suffix] = append(all[g.Suffix], one)
			p.taken[consumer] = append(p.taken[consumer], one)
		}
	}
	return all, nil
}

// Put gives back all VFs of a consumer, the last that was taken first, so that the next claim finds the same order.
func (p *Pools) Put(consumer string) {
	for _, one := range slices.Backward(p.taken[consumer]) {
		pool := p.pools[one.PF]
		pool.Free = slices.Insert(slices.Clone(pool.Free), 0, one.VF)
	}
	delete(p.taken, consumer)
}
