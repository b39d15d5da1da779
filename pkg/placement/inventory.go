package placement

import (
	"fmt"
	"math"
)

// MaxInt is placement's largest number: of totals, units and amounts.
const MaxInt = 1<<31 - 1

// mostUsed bounds capacities and usage, so that sums of them stay exact.
const mostUsed = 1 << 52

// Inventory is what a provider has of one resource class.
type Inventory struct {
	// Total is at least 1; Reserved of it are kept back, all of them at most: that drains the provider.
	Total, Reserved int
	// MinUnit and MaxUnit bound one amount, which must be a multiple of StepSize; each is at least 1.
	MinUnit, MaxUnit, StepSize int
	// AllocationRatio says how often the unreserved part may be given out.
	AllocationRatio float64
	// Used is the sum of all allocations of the class on this very provider.
	Used int
}

// NewInventory has placement's defaults: nothing reserved, amounts of 1 to MaxInt in steps of 1, ratio 1.0.
func NewInventory(total int) Inventory {
	return Inventory{Total: total, MinUnit: 1, MaxUnit: MaxInt, StepSize: 1, AllocationRatio: 1}
}

// Capacity is (total - reserved) * allocation_ratio without its fraction.
func (i Inventory) Capacity() int {
	capacity := math.Floor(float64(i.Total-i.Reserved) * i.AllocationRatio)
	return int(max(0, min(capacity, mostUsed)))
}

// free is what can still be given out; it is negative where more is in use than there is.
func (i Inventory) free() int { return i.Capacity() - i.Used }

// fault says what is wrong with the numbers themselves, or nothing.
func (i Inventory) fault() string {
	switch {
	case i.Total < 1 || i.Total > MaxInt:
		return fmt.Sprintf("total must be 1 to %d, not %d; without any, leave the inventory away", MaxInt, i.Total)
	case i.Reserved < 0 || i.Reserved > i.Total:
		return fmt.Sprintf("reserved must be 0 to the total of %d, not %d", i.Total, i.Reserved)
	case i.MinUnit < 1 || i.MinUnit > MaxInt:
		return fmt.Sprintf("min_unit must be 1 to %d, not %d", MaxInt, i.MinUnit)
	case i.MaxUnit < 1 || i.MaxUnit > MaxInt:
		return fmt.Sprintf("max_unit must be 1 to %d, not %d", MaxInt, i.MaxUnit)
	case i.StepSize < 1 || i.StepSize > MaxInt:
		return fmt.Sprintf("step_size must be 1 to %d, not %d", MaxInt, i.StepSize)
	case !(i.AllocationRatio >= 0 && i.AllocationRatio <= math.MaxFloat32):
		return fmt.Sprintf("allocation_ratio must be 0 to %g, not %g", math.MaxFloat32, i.AllocationRatio)
	case i.Used < 0 || i.Used > mostUsed:
		return fmt.Sprintf("used must be 0 to %d, not %d", mostUsed, i.Used)
	}
	return ""
}

// unfit says why an amount of the class cannot be given out at a time, however much is free, or nothing.
func (i Inventory) unfit(class string, amount int) string {
	switch {
	case amount < i.MinUnit:
		return fmt.Sprintf("gives out at least %d %s at a time (min_unit), not %d", i.MinUnit, class, amount)
	case amount > i.MaxUnit:
		return fmt.Sprintf("gives out at most %d %s at a time (max_unit), not %d", i.MaxUnit, class, amount)
	case amount%i.StepSize != 0:
		return fmt.Sprintf("gives out %s in steps of %d (step_size), not %d", class, i.StepSize, amount)
	}
	return ""
}

// short says why an amount of the class is not free, or nothing.
func (i Inventory) short(class string, amount int) string {
	capacity := i.Capacity()
	switch {
	case amount <= capacity-i.Used:
		return ""
	case capacity == 0 && i.Used == 0 && i.Reserved == i.Total:
		return fmt.Sprintf("has all %d %s reserved", i.Total, class)
	case capacity == 0 && i.Used == 0:
		return fmt.Sprintf("has no %s to give out (allocation_ratio %g)", class, i.AllocationRatio)
	case i.Used >= capacity:
		return fmt.Sprintf("has %d of %d %s in use", i.Used, capacity, class)
	case amount > capacity:
		return fmt.Sprintf("has %d %s in all, not %d", capacity, class, amount)
	}
	return fmt.Sprintf("has %d of %d %s in use, not %d free", i.Used, capacity, class, amount)
}
