package hooks_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
)

// served tells whether the plugin has answered for a container: without it the runtime creates it with nothing.
func served(adjustment *api.ContainerAdjustment) bool { return len(adjustment.GetMounts()) == 1 }

// TestHookOverItsTime: while a device stalls, each answer comes before the runtime's patience ends, no container is let
// through, and the plugin stays connected.
func TestHookOverItsTime(t *testing.T) {
	for _, row := range []string{"5", "29"} {
		t.Attr("fault", row)
	}
	const times = 3
	t.Attr("injected", fmt.Sprint(times))
	r := newRuntime(t, attachtest.NewWorld(1, 4), nil, true)
	release := r.world.Hold()
	one := pod("s1", "prod", "public")
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	goroutines, without := goruntime.NumGoroutine(), 0
	for range times {
		begun := time.Now()
		adjustment, err := r.create(one, "app")
		if err == nil {
			without++
			t.Errorf("a container was let through with %v", adjustment)
		} else if !strings.Contains(err.Error(), "nri-sriov: pod prod/web: still at work") {
			t.Errorf("the gate says %v", err)
		}
		if took := time.Since(begun); took > 1900*time.Millisecond {
			t.Errorf("the gate took %s of the 2 s that the runtime allows", took)
		}
		if err := r.run(pod("bad", "prod", "[")); err == nil { // who is cut off refuses nothing
			t.Error("the plugin is cut off")
		}
	}
	if now := goruntime.NumGoroutine(); now > goroutines+5 {
		t.Errorf("%d goroutines, before %d", now, goroutines)
	}
	t.Attr("without", fmt.Sprint(without))
	gone := pod("s2", "prod", "public") // called off while the device stalls
	if err := r.run(gone); err != nil {
		t.Fatal(err)
	}
	r.end(gone)
	release()
	if adjustment, err := r.create(one, "app"); err != nil || !served(adjustment) {
		t.Errorf("%v, %v", adjustment, err)
	}
	r.eventuallyFree(3)
	r.end(one)
	r.eventuallyFree(4)
}

// TestStallOfOnePodHoldsUpNoOther: the hook itself waits for nothing.
func TestStallOfOnePodHoldsUpNoOther(t *testing.T) {
	t.Attr("fault", "29")
	const pods = 28
	t.Attr("injected", fmt.Sprint(pods))
	r := newRuntime(t, attachtest.NewWorld(4, 7), nil, true)
	release := r.world.Hold()
	defer release()
	begun := time.Now()
	for i := range pods {
		if err := r.run(pod(fmt.Sprint("s", i), "prod", "public")); err != nil {
			t.Fatal(err)
		}
	}
	plain := pod("plain", "prod", "")
	plain.Annotations = nil
	if _, err := r.create(plain, "app"); err != nil {
		t.Error(err)
	}
	for i := range pods {
		r.end(pod(fmt.Sprint("s", i), "prod", "public"))
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("%d pods that come and go while the device stalls took %s", pods, took)
	}
	r.eventuallyFree(pods)
}

// TestListWithoutThePendingPod: the runtime's list comes while a pod is being made that is not in it.
func TestListWithoutThePendingPod(t *testing.T) {
	t.Attr("fault", "6")
	r := newRuntime(t, attachtest.NewWorld(1, 2), nil, true)
	release := r.world.Hold()
	one := pod("s1", "prod", "public")
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := r.plugin.Synchronize(t.Context(), nil, nil); err != nil {
			t.Fatal(err)
		}
		r.node.Attacher.Sweep()
	}
	release()
	if adjustment, err := r.create(one, "app"); err != nil || !served(adjustment) {
		t.Errorf("%v, %v", adjustment, err)
	}
}

// TestEventsInAnyOrder: each end is a success, whatever came before, and VFs are given back once.
func TestEventsInAnyOrder(t *testing.T) {
	t.Attr("fault", "17")
	r := newRuntime(t, attachtest.NewWorld(1, 2), nil, true)
	stop := func(one *api.PodSandbox) {
		t.Helper()
		if err := r.StopPodSandbox(t.Context(), &adaptation.StopPodSandboxRequest{Pod: one}); err != nil {
			t.Error(err)
		}
	}
	remove := func(one *api.PodSandbox) {
		t.Helper()
		if err := r.RemovePodSandbox(t.Context(), &adaptation.RemovePodSandboxRequest{Pod: one}); err != nil {
			t.Error(err)
		}
	}
	for name, ends := range map[string][]func(*api.PodSandbox){
		"stop twice":          {stop, stop, remove},
		"remove without stop": {remove},
		"remove then stop":    {remove, stop, remove},
		"many":                {stop, stop, stop, remove, remove, stop},
	} {
		one := pod(strings.ReplaceAll(name, " ", "-"), "prod", "public")
		for range 2 {
			if err := r.run(one); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if adjustment, err := r.create(one, "app"); err != nil || !served(adjustment) {
			t.Fatalf("%s: %v, %v", name, adjustment, err)
		}
		bare := &api.PodSandbox{Id: one.Id} // some runtimes tell no more of a pod that ends
		for _, end := range ends {
			end(bare)
		}
		r.eventuallyFree(2)
		for range 500 {
			if !r.node.Attacher.Known(one.Id) {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	never := pod("never-ran", "prod", "public")
	stop(never)
	remove(never)
	stop(&api.PodSandbox{})
	if r.free() != 2 {
		t.Errorf("%d VFs are free", r.free())
	}
}

// TestRuntimeRestartsWhileAttaching: the runtime goes away and comes back, and lists the pod whose attach is under way.
func TestRuntimeRestartsWhileAttaching(t *testing.T) {
	t.Attr("fault", "3")
	r := newRuntime(t, attachtest.NewWorld(1, 3), nil, true)
	release := r.world.Hold()
	one, lost := pod("s1", "prod", "public"), pod("s2", "prod", "public")
	for _, each := range []*api.PodSandbox{one, lost} {
		if err := r.run(each); err != nil {
			t.Fatal(err)
		}
	}
	r.Adaptation.Stop()
	r.plugin.Disconnected()
	if r.plugin.Synchronised() {
		t.Error("without a runtime the plugin says that it is synchronised")
	}
	r.restart(t.Context(), []*api.PodSandbox{one})
	release()
	if adjustment, err := r.create(one, "app"); err != nil || !served(adjustment) {
		t.Errorf("%v, %v", adjustment, err)
	}
	if err := r.run(one); err != nil { // and asks once more
		t.Error(err)
	}
	if r.free() != 1 {
		t.Errorf("%d VFs are free; each pod has one", r.free())
	}
	r.end(one)
	r.end(lost)
	r.eventuallyFree(3)
}

// restart starts the runtime anew at another socket, and connects the plugin to it.
func (r *runtime) restart(ctx context.Context, running []*api.PodSandbox) {
	r.Helper()
	sync := func(ctx context.Context, cb adaptation.SyncCB) error {
		_, err := cb(ctx, running, nil)
		return err
	}
	update := func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil }
	socket := filepath.Join(r.dir, "again.sock")
	var err error
	r.Adaptation, err = adaptation.New("test", "v0", sync, update,
		adaptation.WithSocketPath(socket), adaptation.WithPluginPath(r.dir), adaptation.WithPluginConfigPath(r.dir))
	if err == nil {
		err = r.Adaptation.Start()
	}
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	r.connect(ctx, socket)
	r.listed()
	r.Cleanup(cancel)
}

// TestPodsThatRanWhileThePluginWasAway have their VFs as soon as the plugin is back, and no container before.
func TestPodsThatRanWhileThePluginWasAway(t *testing.T) {
	t.Attr("fault", "4")
	const pods = 5
	t.Attr("injected", fmt.Sprint(pods))
	var running []*api.PodSandbox
	for i := range pods {
		running = append(running, pod(fmt.Sprint("s", i), "prod", "public"))
	}
	r := newRuntime(t, attachtest.NewWorld(1, pods), running, true)
	begun := time.Now()
	r.eventuallyFree(0)
	var without int
	var all sync.WaitGroup
	var mutex sync.Mutex
	for _, one := range running {
		all.Go(func() {
			adjustment, err := r.create(one, "app")
			if err == nil && served(adjustment) {
				return
			}
			t.Error(adjustment, err)
			mutex.Lock()
			defer mutex.Unlock()
			without++
		})
	}
	all.Wait()
	t.Attr("without", fmt.Sprint(without))
	t.Attr("converge", time.Since(begun).Round(time.Millisecond).String())
}

// TestTwoPodsForOneVF: one gets it, the other is refused and none of its containers is created.
func TestTwoPodsForOneVF(t *testing.T) {
	t.Attr("fault", "16")
	r := newRuntime(t, attachtest.NewWorld(1, 1), nil, true)
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			one := pod(fmt.Sprint("s", i), "prod", "public")
			_, err := r.create(one, "app")
			errs[i] = errors.Join(r.run(one), err)
		})
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !strings.Contains(err.Error(), "no VF free: pf0 1 of 1 in use"):
			t.Errorf("a loser is told %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d pods have the one VF", won)
	}
}
