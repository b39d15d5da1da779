package placement_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/nri-sriov/nri-sriov/pkg/placement"
)

// book is what a ledger should say, kept as R27 to R30 read.
type book struct {
	world       // its usage is that of nobody the ledger knows
	ledger      *placement.Ledger
	consumers   map[string]placement.Allocations
	generations map[string]int
	// seen are candidates of earlier questions: by now they may be too late.
	seen []placement.Candidate
	// before is the usage as it was last checked, by provider and class.
	before   map[[2]string]int
	outcomes map[string]int
}

// TestLedgerKeepsCapacities: whatever is claimed, replaced, moved, released and resized, in whatever order, nothing is given out that is
// not there, what was just offered can be claimed, and what is refused changes nothing.
func TestLedgerKeepsCapacities(t *testing.T) {
	outcomes := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		b := &book{world: w, ledger: placement.NewLedger(engineTree(t, w)), outcomes: outcomes}
		b.consumers, b.generations, b.before = map[string]placement.Allocations{}, map[string]int{}, map[[2]string]int{}
		t.Repeat(map[string]func(*rapid.T){
			"claim": b.claim, "claim more": b.claim, "write": b.write, "write more": b.write, "release": b.release, "resize": b.resize, "": b.check,
		})
	})
	t.Log(outcomes)
}

func drawConsumer(t *rapid.T) string {
	return rapid.SampledFrom([]string{"c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"}).Draw(t, "consumer")
}

// change is one by a writer that read the consumer's generation.
func (b *book) change(consumer string, a placement.Allocations) placement.Change {
	c := placement.Change{Consumer: consumer, Allocations: a}
	if generation, ok := b.generations[consumer]; ok {
		c.Generation = &generation
	}
	return c
}

// claim takes a candidate as soon as it is offered.
func (b *book) claim(t *rapid.T) {
	q := drawQuestion(t, b.world)
	r, err := placement.Candidates(b.ledger.Tree(), q, placement.Options{})
	if err != nil || len(r.Candidates) == 0 {
		return
	}
	candidate := rapid.SampledFrom(r.Candidates).Draw(t, "candidate")
	b.seen = append(b.seen, candidate)
	change := b.change(drawConsumer(t), candidate.Allocations)
	if change.Generation == nil {
		err = b.ledger.Claim(change.Consumer, change.Allocations)
	} else {
		err = b.ledger.Replace(change.Consumer, *change.Generation, change.Allocations)
	}
	if err != nil {
		t.Fatalf("%s was offered: %v\n%s", candidateText(candidate), err, worldText(b.world, q))
	}
	b.outcomes["claimed at once"]++
	b.enter(change)
}

// write changes up to three consumers at once: some take a candidate that may be gone, some what another one has, some give all back.
func (b *book) write(t *rapid.T) {
	var changes []placement.Change
	good := true
	offers := []placement.Allocations{}
	for _, c := range b.seen {
		offers = append(offers, c.Allocations)
	}
	for _, name := range slices.Sorted(maps.Keys(b.consumers)) {
		offers = append(offers, b.consumers[name])
	}
	if len(offers) == 0 {
		return
	}
	for _, consumer := range rapid.SliceOfNDistinct(rapid.Custom(drawConsumer), 1, 3, rapid.ID).Draw(t, "consumers") {
		change := b.change(consumer, rapid.SampledFrom(offers).Draw(t, "allocations"))
		if change.Generation != nil && chance(t, 3, "give back") {
			change.Allocations = nil
		}
		if chance(t, 1, "outdated") {
			wrong := b.generations[consumer] + rapid.SampledFrom([]int{-1, 1}).Draw(t, "generation")
			change.Generation, good = &wrong, false
		}
		changes = append(changes, change)
	}
	want := good && b.fits(changes)
	err := b.ledger.Write(changes...)
	var refusal *placement.Refusal
	if (err == nil) != want || err != nil && !errors.As(err, &refusal) {
		t.Fatalf("%+v: %v, though it should be accepted: %t\n%s", changes, err, want, b.text())
	}
	if err != nil {
		b.outcomes[string(refusal.Outcome)]++
		if !good != (refusal.Outcome == placement.ConsumerConflict) {
			t.Fatalf("%+v: generations right %t, refused with %s: %v", changes, good, refusal.Outcome, err)
		}
		return
	}
	b.outcomes["written"]++
	b.enter(changes...)
}

// fits is R7 and R28, and R30: what does not raise the usage fits always.
func (b *book) fits(changes []placement.Change) bool {
	after := &book{world: b.world, consumers: maps.Clone(b.consumers), generations: maps.Clone(b.generations)}
	after.enter(changes...)
	for _, c := range changes {
		for provider, amounts := range c.Allocations {
			for class, amount := range amounts {
				have := b.providers[b.index(provider)].Inventories[class]
				used := after.used(provider, class)
				if !unitsOf(have, amount) || used > capacity(have) && used > b.used(provider, class) {
					return false
				}
			}
		}
	}
	return true
}

// enter is R27 and R29.
func (b *book) enter(changes ...placement.Change) {
	for _, c := range changes {
		if len(c.Allocations) == 0 {
			delete(b.consumers, c.Consumer)
			delete(b.generations, c.Consumer)
			continue
		}
		b.consumers[c.Consumer] = c.Allocations
		b.generations[c.Consumer]++
	}
}

func (b *book) used(provider, class string) int {
	used := b.providers[b.index(provider)].Inventories[class].Used
	for _, allocations := range b.consumers {
		used += allocations[provider][class]
	}
	return used
}

func (b *book) release(t *rapid.T) {
	consumer := drawConsumer(t)
	err := b.ledger.Release(consumer)
	var refusal *placement.Refusal
	if _, known := b.consumers[consumer]; known != (err == nil) || err != nil && (!errors.As(err, &refusal) || refusal.Outcome != placement.NotFound) {
		t.Fatalf("release of %s, known %t: %v", consumer, known, err)
	}
	b.enter(placement.Change{Consumer: consumer})
}

// resize gives an inventory another total, below its usage at times.
func (b *book) resize(t *rapid.T) {
	p := rapid.SampledFrom(b.providers).Draw(t, "provider")
	if len(p.Inventories) == 0 {
		return
	}
	class := rapid.SampledFrom(slices.Sorted(maps.Keys(p.Inventories))).Draw(t, "class")
	i := p.Inventories[class]
	i.Total = rapid.IntRange(max(1, i.Reserved), 8).Draw(t, "total")
	p.Inventories[class] = i // it is the world's: maps are shared
	generation, err := b.ledger.Generation(p.Name)
	if err == nil {
		err = b.ledger.SetInventories(p.Name, generation, p.Inventories)
	}
	if err != nil {
		t.Fatalf("resize %s of %s to %d: %v", class, p.Name, i.Total, err)
	}
	if again := b.ledger.SetInventories(p.Name, generation, p.Inventories); again == nil {
		t.Fatalf("%s was written twice with one generation", p.Name)
	}
	if b.used(p.Name, class) > capacity(i) {
		b.outcomes["shrunk below its usage"]++
	}
}

// check compares everything the ledger says of usage and consumers; the tree, which the next question is asked of, must agree.
func (b *book) check(t *rapid.T) {
	for n, p := range b.ledger.Tree().Providers() {
		usage, err := b.ledger.Usage(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		for class, i := range b.providers[n].Inventories {
			if want := b.used(p.Name, class); usage[class] != want || p.Inventories[class].Used != want {
				t.Fatalf("%s of %s: %d used, the ledger says %d, the tree %d\n%s", class, p.Name, want, usage[class], p.Inventories[class].Used, b.text())
			}
			key := [2]string{p.Name, class}
			if before, checked := b.before[key]; checked && usage[class] > max(before, capacity(i)) {
				t.Fatalf("%s of %s: %d are in use of %d, %d before\n%s", class, p.Name, usage[class], capacity(i), before, b.text())
			}
			b.before[key] = usage[class]
		}
	}
	for c := range 8 {
		name := fmt.Sprint("c", c)
		allocations, generation, found := b.ledger.Consumer(name)
		_, known := b.consumers[name]
		want, got := fmt.Sprint(b.consumers[name], known), fmt.Sprint(allocations, found)
		if got != want || known && generation != b.generations[name] {
			t.Fatalf("%s: has %s of generation %d, not %s of %d", name, got, generation, want, b.generations[name])
		}
	}
}

func (b *book) text() string {
	return fmt.Sprintf("%swith %v", worldText(b.world, placement.Question{}), b.consumers)
}
