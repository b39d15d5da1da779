package attach

import "sync"

// Counts are events since the daemon's start.
type Counts struct {
	// Late are attaches of sandboxes that started while the daemon was away.
	Late int
	// Untold are ends of sandboxes that the runtime did not tell of, by the sign that was noticed first.
	Untold map[string]int
}

// The signs by which an end is noticed.
const (
	signNamespace = "network namespace"
	signReturned  = "VF at home"
	signContainer = "container removed"
	signSweep     = "sweep"
)

type counts struct {
	mutex  sync.Mutex
	late   int
	untold map[string]int
}

func (c *counts) addLate() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.late++
}

func (c *counts) addUntold(sign string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.untold[sign]++
}

// Counts answers what was counted; every sign is in it.
func (a *Attacher) Counts() Counts {
	a.counts.mutex.Lock()
	defer a.counts.mutex.Unlock()
	untold := map[string]int{}
	for _, sign := range []string{signNamespace, signReturned, signContainer, signSweep} {
		untold[sign] = a.counts.untold[sign]
	}
	return Counts{Late: a.counts.late, Untold: untold}
}
