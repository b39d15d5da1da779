package attach_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// open counts this process's file descriptors.
func open(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// calm waits until there are at most so many goroutines and file descriptors.
func calm(t *testing.T, goroutines, files int) {
	t.Helper()
	for range 500 {
		if runtime.NumGoroutine() <= goroutines && open(t) <= files {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("%d goroutines, before %d; %d file descriptors, before %d", runtime.NumGoroutine(), goroutines, open(t), files)
}

// TestStuckKernel: while the kernel does not answer, askers come and go with an error in their time and leave nothing
// behind; when it answers, those that were called off meanwhile are undone.
func TestStuckKernel(t *testing.T) {
	t.Attr("fault", "29")
	const pods, times = 4, 200
	t.Attr("injected", fmt.Sprint(times))
	world := attachtest.NewWorld(1, pods)
	device := &stuck{World: world, pf: vf.PCIAddress{Bus: 1}, answer: make(chan struct{})}
	b := startWith(t, world, device, t.TempDir())
	answer := sync.OnceFunc(func() { close(device.answer) })
	t.Cleanup(answer)
	for i := range pods {
		if err := b.Attach(sandbox(fmt.Sprint("s", i)), []attach.Want{want(uint16(i+1), "net1")}, false); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(id string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		begun := time.Now()
		if _, err := b.Ready(ctx, id); err == nil || !strings.Contains(err.Error(), "the container is tried again") {
			t.Errorf("the gate says %v", err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the gate took %s", took)
		}
	}
	for i := range times { // until all are under way
		ask(fmt.Sprint("s", i%pods))
	}
	goroutines, files := runtime.NumGoroutine(), open(t)
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for i := range times {
		ask(fmt.Sprint("s", i%pods))
		b.Reconcile(nil)
		b.Sweep()
	}
	calm(t, goroutines, files)
	for i := range pods / 2 {
		b.Release(fmt.Sprint("s", i)) // they end while the kernel hangs
		b.Release(fmt.Sprint("s", i))
	}
	answer()
	for i := pods / 2; i < pods; i++ {
		b.mustReady(fmt.Sprint("s", i))
		b.Release(fmt.Sprint("s", i))
	}
	b.eventually("")
	for i := range pods {
		b.gone(fmt.Sprint("s", i))
	}
}

// TestChurnLeavesNothing: what many pods leave behind is nothing.
func TestChurnLeavesNothing(t *testing.T) {
	t.Attr("fault", "34")
	const pods = 200
	t.Attr("injected", fmt.Sprint(pods))
	b := start(t, attachtest.NewWorld(2, 8), t.TempDir())
	cycle := func(id string) {
		b.mustAttach(id, want(100, "net1"), want(200, "net2"))
		b.Release(id)
		b.gone(id)
	}
	for i := range 50 {
		cycle(fmt.Sprint("first", i))
	}
	b.eventually("")
	memory := heap()
	goroutines, files := runtime.NumGoroutine(), open(t)
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would close what nobody does
	for i := range pods {
		cycle(fmt.Sprint("s", i))
	}
	b.eventually("")
	calm(t, goroutines, files)
	if now := heap(); now > memory+1<<20 {
		t.Errorf("%d bytes in use, before %d", now, memory)
	}
	if left := append(append(b.files("results"), b.files("networks")...), append(b.files("sandboxes"), b.files("copies/sandboxes")...)...); len(left) != 0 {
		t.Errorf("traces left: %v", left)
	}
}

// heap counts the bytes that are in use.
func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// TestClockJumps: records are written, and read, by daemons whose clocks are decades apart; in the bubble it is the year
// 2000. A life within the bubble also shows that all waits are of the clock that does not jump.
func TestClockJumps(t *testing.T) {
	t.Attr("fault", "36")
	w, dir := attachtest.NewWorld(1, 2), t.TempDir()
	b := start(t, w, dir)
	b.mustAttach("a", want(100, "net1"))
	synctest.Test(t, func(t *testing.T) { // back
		if now := time.Now().Year(); now != 2000 {
			t.Fatalf("the bubble is in %d", now)
		}
		b := start(t, w, dir)
		b.Reconcile([]attach.Live{{Sandbox: sandbox("a"), Wants: []attach.Want{want(100, "net1")}}})
		b.mustReady("a")
		b.Sweep()
		b.mustAttach("b", want(200, "net1"))
		b.eventually("0000:01:10.0 attached a\n0000:01:10.1 attached b\n0000:01:10.0 net1 in \"pod\" vlan 100\n0000:01:10.1 net1 in \"pod\" vlan 200")
	})
	b = restart(b) // and forth
	live := []attach.Live{{Sandbox: sandbox("a"), Wants: []attach.Want{want(100, "net1")}}, {Sandbox: sandbox("b"), Wants: []attach.Want{want(200, "net1")}}}
	if refused := b.Reconcile(live); len(refused) != 0 {
		t.Fatal(refused)
	}
	b.mustReady("a")
	b.mustReady("b")
	b.Sweep()
	b.eventually("0000:01:10.0 attached a\n0000:01:10.1 attached b\n0000:01:10.0 net1 in \"pod\" vlan 100\n0000:01:10.1 net1 in \"pod\" vlan 200")
	b.Release("a")
	b.Release("b")
	b.eventually("")
}
