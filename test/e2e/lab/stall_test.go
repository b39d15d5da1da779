package lab

import (
	"os"
	"path/filepath"
	"testing"
)

func TestStalled(t *testing.T) {
	g := &Guest{options: Options{Logs: t.TempDir()}}
	if g.stalled() {
		t.Error("a guest without a console log is stalled")
	}
	for text, want := range map[string]bool{
		"[    3.44] Run /init as init process\n": false,
		"[   22.67] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\n[   22.68] rcu: rcu_preempt kthread timer wakeup didn't happen for 5252 jiffies!\n": true,
	} {
		if err := os.WriteFile(filepath.Join(g.options.Logs, "console.log"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := g.stalled(); got != want {
			t.Errorf("%q: stalled %t", text, got)
		}
	}
}
