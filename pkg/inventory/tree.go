package inventory

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Tree is the node as a tree of resource providers, in the form of `nri-sriov inventory -o json`.
type Tree struct {
	Providers []Node `json:"providers"`
}

// Node is one resource provider of the tree.
type Node struct {
	Name   string `json:"name"`
	Parent string `json:"parent,omitempty"`
	// Class is host, numa or pf.
	Class       string               `json:"class"`
	PCIAddress  string               `json:"pciAddress,omitempty"`
	PF          string               `json:"pf,omitempty"`
	NUMANode    *int                 `json:"numaNode,omitempty"`
	Traits      []string             `json:"traits"`
	Inventories map[string]Inventory `json:"inventories"`
	VFs         []VFView             `json:"vfs,omitempty"`
	// Reason says why a PF offers nothing.
	Reason string `json:"reason,omitempty"`
}

// Inventory is the stock of one resource class, with placement's names.
type Inventory struct {
	Total           int     `json:"total"`
	Reserved        int     `json:"reserved"`
	Used            int     `json:"used"`
	MinUnit         int     `json:"minUnit"`
	MaxUnit         int     `json:"maxUnit"`
	StepSize        int     `json:"stepSize"`
	AllocationRatio float64 `json:"allocationRatio"`
}

// VFView is one VF as people see it.
type VFView struct {
	ID         int    `json:"id"`
	PCIAddress string `json:"pciAddress"`
	Interface  string `json:"interface,omitempty"`
	Driver     string `json:"driver,omitempty"`
	State      State  `json:"state"`
	Sandbox    string `json:"sandbox,omitempty"`
	Reason     string `json:"reason,omitempty"`
}

// The resource classes, with placement's names: a virtual function, a whole PF, and what goes out of a PF and comes in, in
// kilobit/s.
const (
	ClassVF      = "SRIOV_NET_VF"
	ClassPF      = "SRIOV_NET_PF"
	ClassEgress  = "NET_BW_EGR_KILOBIT_PER_SEC"
	ClassIngress = "NET_BW_IGR_KILOBIT_PER_SEC"
)

// Tree shows the pool as it is now; host names the root.
func (p *Pool) Tree(host string) Tree {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	tree := Tree{Providers: []Node{{Name: host, Class: "host", Traits: []string{}, Inventories: map[string]Inventory{}}}}
	numa := map[int]bool{}
	for _, provider := range p.providers {
		if node := provider.PF.NUMANode; node >= 0 && !numa[node] {
			numa[node] = true
			tree.Providers = append(tree.Providers, Node{
				Name: numaName(node), Parent: host, Class: "numa", NUMANode: &node,
				Traits: []string{}, Inventories: map[string]Inventory{},
			})
		}
	}
	slices.SortStableFunc(tree.Providers[1:], func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	for _, provider := range p.providers {
		tree.Providers = append(tree.Providers, provider.view(host))
	}
	return tree
}

func numaName(node int) string { return fmt.Sprintf("numa%d", node) }

func (p *Provider) view(host string) Node {
	total, used := p.offered()
	node := Node{
		Name: p.PF.Name(), Parent: host, Class: "pf", PCIAddress: p.PF.Address.String(), PF: p.PF.Interface,
		Traits: p.Traits, Reason: p.Reason,
		Inventories: map[string]Inventory{ClassVF: {
			Total: total, Reserved: p.Reserved, Used: used, MinUnit: 1, MaxUnit: max(1, total), StepSize: 1, AllocationRatio: 1,
		}},
	}
	for class, stock := range map[string]struct{ total, used int }{
		ClassEgress: {p.Bandwidth.Egress, p.egress}, ClassIngress: {p.Bandwidth.Ingress, 0},
	} {
		if stock.total > 0 {
			node.Inventories[class] = Inventory{Total: stock.total, Used: stock.used, MinUnit: 1, MaxUnit: stock.total, StepSize: 1, AllocationRatio: 1}
		}
	}
	if p.Whole != nil && p.Whole.State != Excluded {
		whole := Inventory{Total: 1, MinUnit: 1, MaxUnit: 1, StepSize: 1, AllocationRatio: 1}
		if p.givenOut() {
			whole.Used = 1
		} else if p.unfitWhole() != "" {
			whole.Reserved = 1 // by its VFs
		}
		node.Inventories[ClassPF] = whole
	}
	if p.PF.NUMANode >= 0 {
		node.Parent, node.NUMANode = numaName(p.PF.NUMANode), &p.PF.NUMANode
	}
	for _, one := range p.VFs {
		state, reason := one.State, one.Reason
		if p.givenOut() && state == Free {
			state, reason = Excluded, fmt.Sprintf("its PF is in use as a whole by sandbox %s", p.Whole.Sandbox)
		}
		node.VFs = append(node.VFs, VFView{
			ID: one.ID, PCIAddress: one.Address.String(), Interface: strings.Join(one.Interfaces, ","),
			Driver: one.Driver, State: state, Sandbox: one.Sandbox, Reason: reason,
		})
	}
	return node
}

// Find gives a VF with its PF, as they were read last.
func (p *Pool) Find(address vf.PCIAddress) (vf.PF, VF, bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	one, ok := p.byAddress[address]
	if !ok {
		return vf.PF{}, VF{}, false
	}
	if one.provider != nil {
		return one.provider.PF, *one, true
	}
	for _, provider := range p.providers {
		if provider.Whole == one {
			return provider.PF, *one, true
		}
	}
	return vf.PF{}, VF{}, false
}

// Providers copies the pool's providers for a reader.
func (p *Pool) Providers() []Provider {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	var copies []Provider
	for _, provider := range p.providers {
		one := *provider
		one.VFs = nil
		for _, each := range provider.VFs {
			copied := *each
			one.VFs = append(one.VFs, &copied)
		}
		if provider.Whole != nil {
			whole := *provider.Whole
			one.Whole = &whole
		}
		copies = append(copies, one)
	}
	return copies
}
