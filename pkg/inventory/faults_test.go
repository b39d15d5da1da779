package inventory

import (
	"strings"
	"testing"
)

// TestLinkThatFlaps: that a PF has lost its link says nothing about what pods have, nor about what is free.
func TestLinkThatFlaps(t *testing.T) {
	t.Attr("fault", "21")
	at := func(speed int) []*Provider {
		n := node([]int{2})
		n[0].PF.Speed = speed
		return n
	}
	p := NewPool(at(1000))
	owned := claimOne(t, p, "a")
	for _, speed := range []int{0, 1000, 0, 0, 10000, 0} {
		if changes := refresh(p, at(speed)); len(changes.Vanished)+len(changes.Unseen) != 0 || changes.Again {
			t.Errorf("at %d Mbit/s: %+v", speed, changes)
		}
		if _, one, ok := p.Find(owned); !ok || one.State != Attached || one.Sandbox != "a" || one.Reason != "" {
			t.Errorf("at %d Mbit/s the pod's VF is %+v", speed, one)
		}
		if text := sketch(p); !strings.Contains(text, "1 free") {
			t.Errorf("at %d Mbit/s:\n%s", speed, text)
		}
	}
}
