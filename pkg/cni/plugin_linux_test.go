package cni

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// limit is what the hanging plugins are given, slack what a loaded machine is.
const (
	limit = time.Second
	slack = 3 * time.Second
)

func TestPluginThatHangs(t *testing.T) {
	const remember = "sleep 1000 & echo $! >>pids\n"
	for name, reaction := range map[string]string{
		"itself":              "exec sleep 1000",
		"for a child":         remember + "wait",
		"in spite of signals": "trap '' TERM INT HUP PIPE\n" + remember + "while :; do wait; done",
		"while it writes":     "while :; do printf x; sleep 0.01; done",
		"stopped":             "kill -STOP $$",
	} {
		t.Run(name, func(t *testing.T) {
			f := plugin(t, map[string]string{"ADD": reaction, "DEL": "exit 0"})
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			_, err := f.ipam().Add(ctx, call("1.1.0"))
			if took := time.Since(begun); took < limit || took > limit+slack {
				t.Errorf("it took %s", took)
			}
			want := `ipam plugin "fake": ADD did not end in time and was killed: context deadline exceeded`
			if err == nil || err.Error() != want || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if asked := f.note(t, "commands"); asked != "ADD\nDEL" {
				t.Errorf("asked %q", asked)
			}
			f.expectGone(t)
		})
	}
}

// A plugin that has answered is not waited for any longer, whatever it leaves behind.
func TestPluginThatLeavesChildren(t *testing.T) {
	for name, reaction := range map[string]string{
		"with its pipes":    "sleep 1000 & echo $! >>pids\n",
		"without its pipes": "sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >>pids\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := plugin(t, map[string]string{"ADD": reaction + say(good["1.1.0"])})
			begun := time.Now()
			if _, err := f.ipam().Add(soon(t), call("1.1.0")); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took > slack {
				t.Errorf("it took %s", took)
			}
			f.expectGone(t)
		})
	}
}

// A child in a session of its own is out of reach, but holds nobody up.
func TestPluginWhoseChildLeavesTheGroup(t *testing.T) {
	for name, reaction := range map[string]string{
		"and ends":  "setsid sleep 20 & echo $! >>pids\n",
		"and waits": "setsid sleep 20 & echo $! >>pids\nwait\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := plugin(t, map[string]string{"CHECK": reaction})
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			err := f.ipam().Check(ctx, call("1.1.0"), goodLease)
			if took := time.Since(begun); took > limit+slack {
				t.Errorf("it took %s", took)
			}
			if (err == nil) != (name == "and ends") {
				t.Errorf("got %v", err)
			}
			for _, pid := range f.pids(t) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		})
	}
}

func TestUndoIsBounded(t *testing.T) {
	f := plugin(t, map[string]string{"ADD": "exit 1", "DEL": "exec sleep 1000"})
	begun := time.Now()
	_, err := f.ipam().Add(soon(t), call("1.1.0"))
	if took := time.Since(begun); took > undoTime+slack {
		t.Errorf("it took %s", took)
	}
	if err == nil || !strings.HasSuffix(err.Error(), "was not given back: DEL did not end in time and was killed: context deadline exceeded") {
		t.Errorf("got %v", err)
	}
	f.expectGone(t)
}

func TestNoTimeAtAll(t *testing.T) {
	f := plugin(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.ipam().Add(ctx, call("1.1.0"))
	if want := `ipam plugin "fake": ADD was not started: its time was over: context canceled`; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if asked := f.note(t, "commands"); asked != "" {
		t.Errorf("asked %q", asked)
	}
}

func (f fake) pids(t *testing.T) []int {
	t.Helper()
	var pids []int
	for _, text := range strings.Fields(f.note(t, "pids")) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// expectGone wants every process that the plugin noted to be dead, soon: a killed one may need a moment.
func (f fake) expectGone(t *testing.T) {
	t.Helper()
	pids := f.pids(t)
	if len(pids) == 0 {
		t.Error("the plugin noted no process")
	}
	for _, pid := range pids {
		for begun := time.Now(); alive(pid); time.Sleep(5 * time.Millisecond) {
			if time.Since(begun) > time.Second {
				t.Errorf("process %d is alive", pid)
				break
			}
		}
	}
}

// alive reads the state, since a dead process that nobody has waited for still has its number: proc_pid_stat(5).
func alive(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}
