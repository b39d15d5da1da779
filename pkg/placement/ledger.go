package placement

import (
	"fmt"
	"maps"
	"slices"
)

// Outcome says, for programs, why a ledger refused something.
type Outcome string

// The outcomes of refusals.
const (
	RefusedCapacity    Outcome = "refused-capacity"
	RefusedConstraints Outcome = "refused-constraints" // min_unit, max_unit or step_size
	RefusedNoInventory Outcome = "refused-no-inventory"
	ConsumerConflict   Outcome = "conflict-consumer-generation"
	ProviderConflict   Outcome = "conflict-provider-generation"
	InUse              Outcome = "in-use"
	HasChildren        Outcome = "has-children"
	NotFound           Outcome = "not-found"
	RefusedBadRequest  Outcome = "bad-request"
)

// Refusal is the error of a Ledger. What was refused changed nothing.
type Refusal struct {
	Outcome Outcome
	// Message is a sentence for a person.
	Message string
}

// Error writes the sentence.
func (r *Refusal) Error() string { return r.Message }

func refuse(outcome Outcome, format string, args ...any) error {
	return &Refusal{Outcome: outcome, Message: fmt.Sprintf(format, args...)}
}

// Ledger is who has what of a tree. Its providers and consumers have generations: whoever writes shows the generation
// that he read, and a write in between makes that a conflict.
type Ledger struct {
	tree      *Tree
	consumers map[string]*consumer
}

// consumer is there as long as it has something.
type consumer struct {
	generation  int
	allocations Allocations
}

// NewLedger takes the tree over. What its inventories say to be used stays in use, by nobody that the ledger knows.
func NewLedger(t *Tree) *Ledger { return &Ledger{tree: t, consumers: map[string]*consumer{}} }

// Tree is the tree with all claims in its usage, for Candidates and First.
func (l *Ledger) Tree() *Tree { return l.tree }

// Consumer tells what a consumer has, and its generation. An unknown consumer has none.
func (l *Ledger) Consumer(name string) (allocations Allocations, generation int, found bool) {
	c, found := l.consumers[name]
	if !found {
		return Allocations{}, 0, false
	}
	return copied(c.allocations), c.generation, true
}

// copied are allocations without what is empty in them.
func copied(allocations Allocations) Allocations {
	all := Allocations{}
	for provider, amounts := range allocations {
		if len(amounts) > 0 {
			all[provider] = maps.Clone(amounts)
		}
	}
	return all
}

// Usage is what is in use on a provider by class: on this one only, never what its children give.
func (l *Ledger) Usage(provider string) (map[string]int, error) {
	n, err := l.find(provider)
	if err != nil {
		return nil, err
	}
	usage := map[string]int{}
	for class, inventory := range n.stock {
		usage[class] = inventory.Used
	}
	return usage, nil
}

// Generation is a provider's, to be shown when its inventories or traits are replaced. Claims raise it too.
func (l *Ledger) Generation(provider string) (int, error) {
	n, err := l.find(provider)
	if err != nil {
		return 0, err
	}
	return n.generation, nil
}

func (l *Ledger) find(provider string) (*node, error) {
	i, found := l.tree.byName[provider]
	if !found {
		return nil, refuse(NotFound, "there is no provider %s", quote(provider))
	}
	return l.tree.nodes[i], nil
}

// guarded finds a provider whose generation is still the one that the caller read.
func (l *Ledger) guarded(provider string, generation int) (*node, error) {
	n, err := l.find(provider)
	if err == nil && n.generation != generation {
		return nil, refuse(ProviderConflict, "provider %s has the generation %d by now, not %d: read it again", quote(provider), n.generation, generation)
	}
	return n, err
}

// SetInventories replaces all inventories of a provider. One in use may shrink, even below its usage: claims stay, and
// nothing more is given out until the usage fits again; but it may not go. Used is the ledger's own and is not read.
func (l *Ledger) SetInventories(provider string, generation int, inventories map[string]Inventory) error {
	for _, class := range slices.Sorted(maps.Keys(inventories)) {
		inventory := inventories[class]
		inventory.Used = 0
		if err := l.tree.checkInventory(provider, class, inventory); err != nil {
			return refuse(RefusedBadRequest, "%s", err)
		}
	}
	n, err := l.guarded(provider, generation)
	if err != nil {
		return err
	}
	for _, class := range slices.Sorted(maps.Keys(n.stock)) {
		if _, stays := inventories[class]; !stays && n.stock[class].Used > 0 {
			return refuse(InUse, "provider %s has %d %s in use", quote(provider), n.stock[class].Used, class)
		}
	}
	stock := map[string]*Inventory{}
	for class, inventory := range inventories {
		inventory.Used = 0
		if before := n.stock[class]; before != nil {
			inventory.Used = before.Used
		}
		stock[class], l.tree.classes[class] = &inventory, true
	}
	n.stock = stock
	n.generation++
	return nil
}

// DeleteInventory takes one class from a provider, which must not be in use.
func (l *Ledger) DeleteInventory(provider, class string) error {
	n, err := l.find(provider)
	if err != nil {
		return err
	}
	inventory := n.stock[class]
	switch {
	case inventory == nil:
		return refuse(NotFound, "provider %s has no inventory of %s", quote(provider), quote(class))
	case inventory.Used > 0:
		return refuse(InUse, "provider %s has %d %s in use", quote(provider), inventory.Used, class)
	}
	delete(n.stock, class)
	n.generation++
	return nil
}

// SetTraits replaces a provider's traits. Claims stay whatever they were made for.
func (l *Ledger) SetTraits(provider string, generation int, traits []string) error {
	n, err := l.guarded(provider, generation)
	if err != nil {
		return err
	}
	if err := l.tree.setTraits(n, traits); err != nil {
		return refuse(RefusedBadRequest, "%s", err)
	}
	n.generation++
	return nil
}

// DeleteProvider takes a provider out of its tree. It must have no children, and nothing of it may be in use.
func (l *Ledger) DeleteProvider(provider string) error {
	n, err := l.find(provider)
	if err != nil {
		return err
	}
	if len(n.children) > 0 {
		return refuse(HasChildren, "provider %s has children, %s first", quote(provider), quote(l.tree.nodes[n.children[0]].name))
	}
	for _, class := range slices.Sorted(maps.Keys(n.stock)) {
		if n.stock[class].Used > 0 {
			return refuse(InUse, "provider %s has %d %s in use", quote(provider), n.stock[class].Used, class)
		}
	}
	return l.tree.remove(provider)
}
