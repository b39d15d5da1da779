//go:build failpoints

package failpoint

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// plan is what is to happen, and when. The zero value is nothing.
type plan struct {
	kind string
	// at is the number of the step, each stands for all of them.
	at   int
	each bool
	// stall is how long the step takes; 0 kills the process.
	stall time.Duration
	// arm is a file that must be there; empty is always.
	arm string
}

// parse reads KIND:N, KIND:N:stall=DURATION, and each in the place of N.
func parse(text string) (plan, error) {
	if text == "" {
		return plan{}, nil
	}
	wrong := fmt.Errorf("failpoint %q is none of KIND:N, KIND:N:stall=DURATION", text)
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 || parts[0] != Kernel && parts[0] != Disk && parts[0] != "any" {
		return plan{}, wrong
	}
	p := plan{kind: parts[0], each: parts[1] == "each"}
	var err error
	if p.at, err = strconv.Atoi(parts[1]); !p.each && (err != nil || p.at < 1) {
		return plan{}, wrong
	}
	if len(parts) == 3 {
		duration, ok := strings.CutPrefix(parts[2], "stall=")
		if p.stall, err = time.ParseDuration(duration); !ok || err != nil || p.stall <= 0 {
			return plan{}, wrong
		}
	}
	return p, nil
}

func (p plan) of(kind string) bool { return p.kind == kind || p.kind == "any" }
