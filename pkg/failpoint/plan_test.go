//go:build failpoints

package failpoint

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]plan{
		"":                       {},
		"kernel:3":               {kind: Kernel, at: 3},
		"any:1:stall=10s":        {kind: "any", at: 1, stall: 10 * time.Second},
		"disk:each:stall=1500ms": {kind: Disk, each: true, stall: 1500 * time.Millisecond},
	} {
		if got, err := parse(text); got != want || err != nil {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"kernel", "kernel:", "kernel:0", "kernel:-1", "net:1", "kernel:1:", "kernel:1:stall=", "kernel:1:stall=-1s", "kernel:1:kill:x"} {
		if got, err := parse(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
	if p := (plan{kind: Disk}); p.of(Kernel) || !p.of(Disk) || (plan{}).of(Kernel) {
		t.Error("kinds are mixed up")
	}
}
