package candidate

import (
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

// treeOf is the inventory as placement knows it. A PF without declared bandwidth has as much as anybody asks for: rates
// draw on bandwidth where it is declared, and are served everywhere.
func treeOf(tree inventory.Tree) []placement.Provider {
	var providers []placement.Provider
	for _, node := range tree.Providers {
		one := placement.Provider{
			Name: node.Name, Parent: node.Parent, Traits: node.Traits, Inventories: map[string]placement.Inventory{},
		}
		for class, stock := range node.Inventories {
			if stock.Total > 0 { // placement has no empty inventories
				one.Inventories[class] = placement.Inventory{
					Total: stock.Total, Reserved: stock.Reserved, Used: stock.Used, MinUnit: stock.MinUnit, MaxUnit: stock.MaxUnit,
					StepSize: stock.StepSize, AllocationRatio: stock.AllocationRatio,
				}
			}
		}
		if node.Class == "pf" {
			for _, class := range []string{inventory.ClassEgress, inventory.ClassIngress} {
				if _, declared := one.Inventories[class]; !declared {
					one.Inventories[class] = placement.NewInventory(placement.MaxInt)
				}
			}
		}
		providers = append(providers, one)
	}
	return providers
}
