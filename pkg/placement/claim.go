package placement

import (
	"cmp"
	"maps"
	"slices"
)

// Change is what a consumer shall have from now on, in place of all that it had.
type Change struct {
	Consumer string
	// Generation is the consumer's, as it was read; nil says that the consumer is new.
	Generation *int
	// Allocations are the amounts of a candidate; none removes the consumer.
	Allocations Allocations
}

// Claim gives a consumer that has nothing yet what a candidate says. The error is a *Refusal.
func (l *Ledger) Claim(consumer string, allocations Allocations) error {
	return l.Write(Change{Consumer: consumer, Allocations: allocations})
}

// Replace gives a consumer this in place of all that it had. The error is a *Refusal.
func (l *Ledger) Replace(consumer string, generation int, allocations Allocations) error {
	return l.Write(Change{Consumer: consumer, Generation: &generation, Allocations: allocations})
}

// Release takes all that a consumer has, whatever its generation. The error is a *Refusal.
func (l *Ledger) Release(consumer string) error {
	c, found := l.consumers[consumer]
	if !found {
		return refuse(NotFound, "consumer %s has nothing", quote(consumer))
	}
	return l.Write(Change{Consumer: consumer, Generation: &c.generation})
}

// share is a class of a provider.
type share struct{ provider, class string }

func compareShares(a, b share) int {
	return cmp.Or(cmp.Compare(a.provider, b.provider), cmp.Compare(a.class, b.class))
}

// Write changes several consumers in one go: all of it or nothing. What they had is given back before what they shall
// have is counted. Each amount must be as the inventory's units want it, and what is in use afterwards must fit the
// capacity or at least be no more than before. Traits, groups and trees are not looked at: a candidate was. The error
// is a *Refusal.
func (l *Ledger) Write(changes ...Change) error {
	seen := map[string]bool{}
	for _, change := range changes {
		if change.Consumer == "" || seen[change.Consumer] {
			return refuse(RefusedBadRequest, "consumer %s is there twice, or has no name", quote(change.Consumer))
		}
		seen[change.Consumer] = true
		if err := l.known(change); err != nil {
			return err
		}
	}
	for _, change := range changes {
		if err := l.current(change); err != nil {
			return err
		}
	}
	difference := map[share]int{}
	for _, change := range changes {
		if before := l.consumers[change.Consumer]; before != nil {
			count(difference, before.allocations, -1)
		}
		count(difference, change.Allocations, 1)
		if err := l.wellMeasured(change.Allocations); err != nil {
			return err
		}
	}
	if err := l.roomFor(difference); err != nil {
		return err
	}
	l.write(changes, difference)
	return nil
}

func count(difference map[share]int, allocations Allocations, sign int) {
	for provider, amounts := range allocations {
		for class, amount := range amounts {
			difference[share{provider, class}] += sign * amount
		}
	}
}

// known checks that a change names what there is. A consumer is not made before its claim is known to be good.
func (l *Ledger) known(change Change) error {
	for _, provider := range slices.Sorted(maps.Keys(change.Allocations)) {
		if _, found := l.tree.byName[provider]; !found {
			return refuse(RefusedBadRequest, "there is no provider %s", quote(provider))
		}
		amounts := change.Allocations[provider]
		for _, class := range slices.Sorted(maps.Keys(amounts)) {
			if !l.tree.knowsClass(class) {
				return refuse(RefusedBadRequest, "nobody knows the resource class %s", quote(class))
			}
			if amounts[class] < 1 || amounts[class] > MaxInt {
				return refuse(RefusedBadRequest, "provider %s: %s must be 1 to %d, not %d", quote(provider), class, MaxInt, amounts[class])
			}
		}
	}
	return nil
}

// current checks a consumer's generation.
func (l *Ledger) current(change Change) error {
	c, found := l.consumers[change.Consumer]
	switch {
	case found && change.Generation == nil:
		return refuse(ConsumerConflict, "consumer %s is not new: it has the generation %d", quote(change.Consumer), c.generation)
	case found && *change.Generation != c.generation:
		return refuse(ConsumerConflict, "consumer %s has the generation %d by now, not %d", quote(change.Consumer), c.generation, *change.Generation)
	case !found && change.Generation != nil:
		return refuse(ConsumerConflict, "consumer %s is new, and has no generation %d", quote(change.Consumer), *change.Generation)
	}
	return nil
}

// wellMeasured checks each amount by itself.
func (l *Ledger) wellMeasured(allocations Allocations) error {
	for _, provider := range slices.Sorted(maps.Keys(allocations)) {
		stock := l.tree.nodes[l.tree.byName[provider]].stock
		for _, class := range slices.Sorted(maps.Keys(allocations[provider])) {
			if stock[class] == nil {
				return refuse(RefusedNoInventory, "provider %s has no %s", quote(provider), class)
			}
			if reason := stock[class].unfit(class, allocations[provider][class]); reason != "" {
				return refuse(RefusedConstraints, "provider %s %s", quote(provider), reason)
			}
		}
	}
	return nil
}

// roomFor checks what would be in use.
func (l *Ledger) roomFor(difference map[share]int) error {
	for _, one := range slices.SortedFunc(maps.Keys(difference), compareShares) {
		if more := difference[one]; more > 0 {
			inventory := l.tree.nodes[l.tree.byName[one.provider]].stock[one.class]
			if reason := inventory.short(one.class, more); reason != "" {
				return refuse(RefusedCapacity, "provider %s %s", quote(one.provider), reason)
			}
		}
	}
	return nil
}

// write does what was checked.
func (l *Ledger) write(changes []Change, difference map[share]int) {
	touched := map[*node]bool{}
	for one, more := range difference {
		n := l.tree.nodes[l.tree.byName[one.provider]]
		n.stock[one.class].Used += more
		touched[n] = true
	}
	for n := range touched {
		n.generation++
	}
	for _, change := range changes {
		generation := 1
		if change.Generation != nil {
			generation += *change.Generation
		}
		allocations := copied(change.Allocations)
		if len(allocations) == 0 {
			delete(l.consumers, change.Consumer)
			continue
		}
		l.consumers[change.Consumer] = &consumer{generation: generation, allocations: allocations}
	}
}
