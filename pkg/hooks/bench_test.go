package hooks_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
	"github.com/sirupsen/logrus"
)

// A large node: so many PFs with so many VFs each, and so many sandboxes with one VF each.
const (
	benchPFs, benchVFs = 8, 64
	benchSandboxes     = 500
)

// BenchmarkHooks is what the runtime waits for at a pod with one VF, on a made-up node that is nearly full: the kernel's
// work is none. The metrics are percentiles of the time in the plugin, in µs; op is a pod's four requests over NRI.
func BenchmarkHooks(b *testing.B) {
	r := newRuntime(b, attachtest.NewWorld(benchPFs, benchVFs), nil, true)
	for i := range benchPFs*benchVFs - 50 {
		r.mustRun(pod(fmt.Sprint("before", i), "prod", "public"))
	}
	took := timesOf(r.plugin)
	for b.Loop() {
		one := pod("bench", "prod", "public")
		for ; r.node.Attacher.Known(one.Id); time.Sleep(100 * time.Microsecond) {
			continue // the VF of the pod before is on its way back
		}
		r.mustRun(one)
		if _, err := r.create(one, "app"); err != nil {
			b.Fatal(err)
		}
		r.end(one)
	}
	for _, hook := range []string{"RunPodSandbox", "StopPodSandbox"} {
		reportTimes(b, hook, took.of(hook))
	}
}

// BenchmarkSynchronize is a daemon that starts, finds a full node in its journal, and is told of all sandboxes: until it
// has answered the runtime, and until every attachment has been looked at.
func BenchmarkSynchronize(b *testing.B) {
	world := attachtest.NewWorld(benchPFs, benchVFs)
	first := newRuntime(b, world, nil, true)
	var running []*api.PodSandbox
	for i := range benchSandboxes {
		one := pod(fmt.Sprint("s", i), "prod", "public")
		running = append(running, one)
		first.mustRun(one)
	}
	first.settle(running)
	var listings, settled []time.Duration
	for b.Loop() {
		dir, err := os.MkdirTemp("", "nri")
		if err == nil {
			b.Cleanup(func() { _ = os.RemoveAll(dir) })
			err = os.CopyFS(filepath.Join(dir, "sandboxes"), os.DirFS(filepath.Join(first.dir, "sandboxes")))
		}
		if err != nil {
			b.Fatal(err)
		}
		begun := time.Now()
		again := newRuntimeIn(b, dir, world, running, true)
		again.settle(running)
		listings, settled = append(listings, again.listing), append(settled, time.Since(begun))
		if free := again.free(); free != benchPFs*benchVFs-benchSandboxes {
			b.Fatalf("%d VFs are free of a node with %d pods", free, benchSandboxes)
		}
	}
	reportTimes(b, "Synchronize", listings)
	reportTimes(b, "start-to-settled", settled)
}

// BenchmarkPodWithoutRequest is a pod's five requests when it asks for nothing: to the handlers alone, and over NRI beside
// a plugin that has the same handlers and does nothing. The metrics are in µs.
func BenchmarkPodWithoutRequest(b *testing.B) {
	asksNothing := &api.PodSandbox{Id: "nothing", Name: "web", Namespace: "prod", Annotations: map[string]string{"some": "annotation"}}
	container := &api.Container{Id: "c", Name: "app", PodSandboxId: asksNothing.Id}
	b.Run("Handlers", func(b *testing.B) {
		r := newRuntime(b, attachtest.NewWorld(1, 1), nil, true)
		ctx := b.Context()
		b.ReportAllocs()
		for b.Loop() {
			err := r.plugin.RunPodSandbox(ctx, asksNothing)
			_, _, createErr := r.plugin.CreateContainer(ctx, asksNothing, container)
			startErr := r.plugin.StartContainer(ctx, asksNothing, container)
			stopErr, removeErr := r.plugin.StopPodSandbox(ctx, asksNothing), r.plugin.RemovePodSandbox(ctx, asksNothing)
			if err != nil || createErr != nil || startErr != nil || stopErr != nil || removeErr != nil {
				b.Fatal(err, createErr, startErr, stopErr, removeErr)
			}
		}
	})
	b.Run("NRI", func(b *testing.B) {
		ours, idle := newRuntime(b, attachtest.NewWorld(1, 1), nil, true), newIdle(b)
		var with, without, added []time.Duration
		for i := 0; b.Loop(); i++ {
			both := []*adaptation.Adaptation{ours.Adaptation, idle}
			took := make([]time.Duration, 2)
			for j := range both { // each comes first as often as the other
				k := (i + j) % 2
				took[k] = requests(b, both[k], asksNothing, container)
			}
			with, without, added = append(with, took[0]), append(without, took[1]), append(added, took[0]-took[1])
		}
		reportTimes(b, "nri-sriov", with)
		reportTimes(b, "idle", without)
		reportTimes(b, "added", added)
	})
}

// requests makes a pod's five requests and answers what they took.
func requests(b *testing.B, to *adaptation.Adaptation, pod *api.PodSandbox, container *api.Container) time.Duration {
	ctx := b.Context()
	begun := time.Now()
	err := to.RunPodSandbox(ctx, &adaptation.RunPodSandboxRequest{Pod: pod})
	_, createErr := to.CreateContainer(ctx, &adaptation.CreateContainerRequest{Pod: pod, Container: container})
	startErr := to.StartContainer(ctx, &adaptation.StartContainerRequest{Pod: pod, Container: container})
	stopErr := to.StopPodSandbox(ctx, &adaptation.StopPodSandboxRequest{Pod: pod})
	removeErr := to.RemovePodSandbox(ctx, &adaptation.RemovePodSandboxRequest{Pod: pod})
	if err != nil || createErr != nil || startErr != nil || stopErr != nil || removeErr != nil {
		b.Fatal(err, createErr, startErr, stopErr, removeErr)
	}
	return time.Since(begun)
}

// idle is a plugin with our handlers that does nothing.
type idle struct{ asked chan struct{} }

func (i idle) RunPodSandbox(context.Context, *api.PodSandbox) error {
	select {
	case i.asked <- struct{}{}:
	default:
	}
	return nil
}
func (idle) StopPodSandbox(context.Context, *api.PodSandbox) error                 { return nil }
func (idle) RemovePodSandbox(context.Context, *api.PodSandbox) error               { return nil }
func (idle) StartContainer(context.Context, *api.PodSandbox, *api.Container) error { return nil }
func (idle) CreateContainer(context.Context, *api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	return nil, nil, nil
}

// newIdle starts a runtime with the plugin idle.
func newIdle(b *testing.B) *adaptation.Adaptation {
	dir, err := os.MkdirTemp("", "nri")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	runtime, socket := startAdaptation(b, dir, func(ctx context.Context, cb adaptation.SyncCB) error {
		_, err := cb(ctx, nil, nil)
		return err
	})
	plugin := idle{asked: make(chan struct{}, 1)}
	connection, err := stub.New(plugin, stub.WithSocketPath(socket), stub.WithPluginName("idle"), stub.WithPluginIdx("10"))
	if err == nil {
		err = connection.Start(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { connection.Stop(); runtime.Stop() })
	for range 1000 {
		if err := runtime.RunPodSandbox(b.Context(), &adaptation.RunPodSandboxRequest{Pod: &api.PodSandbox{Id: "asked"}}); err != nil {
			b.Fatal(err)
		}
		select {
		case <-plugin.asked:
			return runtime
		case <-time.After(5 * time.Millisecond):
		}
	}
	b.Fatal("the runtime does not ask the idle plugin")
	return nil
}

func (r *runtime) mustRun(pod *api.PodSandbox) {
	r.Helper()
	if err := r.run(pod); err != nil {
		r.Fatal(err)
	}
}

// settle waits until each pod has its VF.
func (r *runtime) settle(pods []*api.PodSandbox) {
	r.Helper()
	for _, one := range pods {
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		if _, err := r.node.Attacher.Ready(ctx, one.Id); err != nil {
			r.Fatal(err)
		}
		cancel()
	}
}

// hookTimes collects what a plugin's hooks take.
type hookTimes struct {
	mutex sync.Mutex
	took  map[string][]time.Duration
	waits int
}

func timesOf(plugin *hooks.Plugin) *hookTimes {
	t := &hookTimes{took: map[string][]time.Duration{}}
	plugin.Observe(hooks.Observer{
		Answered: func(hook string, took time.Duration) {
			t.mutex.Lock()
			defer t.mutex.Unlock()
			t.took[hook] = append(t.took[hook], took)
		},
		Waited: func(time.Duration) {
			t.mutex.Lock()
			defer t.mutex.Unlock()
			t.waits++
		},
	})
	return t
}

func (t *hookTimes) of(hook string) []time.Duration {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return slices.Clone(t.took[hook])
}

// reportTimes reports percentiles in µs, such as RunPodSandbox-p99-µs.
func reportTimes(b *testing.B, name string, times []time.Duration) {
	slices.Sort(times)
	for _, percent := range []int{50, 99} {
		at := times[min(len(times)-1, len(times)*percent/100)]
		b.ReportMetric(float64(at.Nanoseconds())/1000, fmt.Sprintf("%s-p%d-µs", name, percent))
	}
}

// TestObserver: pods that ask are counted, and others are not.
func TestObserver(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(1, 1), nil, true)
	took := timesOf(r.plugin)
	other := pod("other", "prod", "")
	other.Annotations = nil
	for _, one := range []*api.PodSandbox{other, pod("s1", "prod", "public")} {
		r.mustRun(one)
		if _, err := r.create(one, "app"); err != nil {
			t.Fatal(err)
		}
		if err := r.StopPodSandbox(t.Context(), &adaptation.StopPodSandboxRequest{Pod: one}); err != nil {
			t.Fatal(err)
		}
	}
	for _, hook := range []string{"RunPodSandbox", "CreateContainer", "StopPodSandbox"} {
		if got := len(took.of(hook)); got != 1 {
			t.Errorf("%s was counted %d times, not once", hook, got)
		}
	}
	if took.waits != 1 {
		t.Errorf("the gate was counted %d times, not once", took.waits)
	}
}

func init() { logrus.SetOutput(io.Discard) } // the NRI library logs what it connects to
