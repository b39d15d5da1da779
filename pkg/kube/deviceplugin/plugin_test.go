package deviceplugin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/kube/deviceplugin"
	"github.com/nri-sriov/nri-sriov/pkg/kube/kubetest"
	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source has devices as a test says.
type source struct {
	mutex   sync.Mutex
	devices map[string][]deviceplugin.Device
}

func (s *source) Devices(resource string) []deviceplugin.Device {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.devices[resource])
}

func (s *source) set(resource string, devices ...deviceplugin.Device) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.devices[resource] = devices
}

func (s *source) Allocate(resource string, ids []string) (map[string]string, error) {
	for _, id := range ids {
		if !slices.ContainsFunc(s.Devices(resource), func(one deviceplugin.Device) bool { return one.ID == id }) {
			return nil, fmt.Errorf("there is no %q", id)
		}
	}
	return map[string]string{"given": strings.Join(ids, ",")}, nil
}

// Prefer takes the last ones.
func (s *source) Prefer(_ string, available, _ []string, size int) []string {
	slices.Sort(available)
	return available[len(available)-size:]
}

const public = "sriov.nri.io/public"

type bench struct {
	*testing.T
	*deviceplugin.Plugin
	kubelet *kubetest.Kubelet
	source  *source
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, kubelet: kubetest.New(t), source: &source{devices: map[string][]deviceplugin.Device{}}}
	log := logrus.New()
	log.SetOutput(io.Discard)
	// Look is longer than the test: what is noticed is noticed by signs, or is tried again after a failure.
	times := deviceplugin.Times{Look: time.Hour, Again: 5 * time.Millisecond, MaxAgain: 20 * time.Millisecond, Register: time.Second, Watch: time.Second}
	b.Plugin = deviceplugin.New(deviceplugin.Dir(b.kubelet.Dir), b.source, times, log)
	b.source.set(public, deviceplugin.Device{ID: "a", NUMANode: 1, Healthy: true}, deviceplugin.Device{ID: "b", NUMANode: -1})
	return b
}

func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { b.Plugin.Run(ctx) })
	b.Cleanup(func() {
		cancel()
		ended.Wait()
	})
}

func (b *bench) devices(want string) {
	b.Helper()
	b.kubelet.Eventually(want, func() string { return b.kubelet.Devices(public) })
}

const asSet = "a Healthy on 1\nb Unhealthy\n"

func TestListAndAllocate(t *testing.T) {
	b := newBench(t)
	b.kubelet.Start()
	b.Serve([]string{public})
	b.run()
	b.devices(asSet)
	ids, annotations, err := b.kubelet.Admit("prod/web", "app", public, 1)
	if err != nil || len(ids) != 1 || ids[0] != "a" || annotations["given"] != "a" {
		t.Errorf("%v, %v, %v", ids, annotations, err)
	}
	if _, err := b.kubelet.Allocate("prod/web", "app", public, []string{"a", "z"}); err == nil || !strings.Contains(err.Error(), `there is no "z"`) {
		t.Errorf("Allocate of an unknown device: %v", err)
	}
}

// TestListsWhenSomethingChangedOnly: a hundred changes of something else are no news.
func TestListsWhenSomethingChangedOnly(t *testing.T) {
	b := newBench(t)
	b.kubelet.Start()
	b.Serve([]string{public})
	b.run()
	b.devices(asSet)
	for range 100 {
		b.Changed()
		time.Sleep(time.Millisecond)
	}
	if lists := b.kubelet.Lists(public); lists != 1 {
		t.Errorf("the kubelet was told %d times of the same", lists)
	}
	b.source.set(public, deviceplugin.Device{ID: "a", NUMANode: 1})
	begun := time.Now()
	b.Changed()
	b.devices("a Unhealthy on 1\n")
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	if lists := b.kubelet.Lists(public); lists != 2 {
		t.Errorf("the kubelet was told %d times", lists)
	}
	b.source.set(public)
	b.Changed()
	b.devices("")
}

// TestKubeletComesLater: the plugin starts first, without a folder even, and registers when there is somebody.
func TestKubeletComesLater(t *testing.T) {
	b := newBench(t)
	b.Serve([]string{public})
	b.run()
	time.Sleep(30 * time.Millisecond)
	b.kubelet.Start()
	b.devices(asSet)
}

// TestKubeletIsRestarted: it forgets everybody and removes all sockets.
func TestKubeletIsRestarted(t *testing.T) {
	b := newBench(t)
	b.kubelet.Start()
	b.Serve([]string{public})
	b.run()
	for range 3 {
		b.devices(asSet)
		b.kubelet.Stop()
		b.kubelet.Start()
	}
	b.devices(asSet)
	if count := b.kubelet.Registrations(public); count != 1 {
		t.Errorf("registered %d times", count)
	}
}

// TestKubeletIsRestartedAndRemovesNothing: it forgets everybody all the same.
func TestKubeletIsRestartedAndRemovesNothing(t *testing.T) {
	b := newBench(t)
	b.kubelet.KeepsSockets = true
	b.kubelet.Start()
	b.Serve([]string{public})
	b.run()
	for range 3 {
		b.devices(asSet)
		b.kubelet.Stop()
		b.kubelet.Start()
	}
	b.devices(asSet)
}

// TestSocketLooksNew although the kubelet is the same, which does not take a second registration of what it watches.
func TestSocketLooksNew(t *testing.T) {
	b := newBench(t)
	b.kubelet.Start()
	b.Serve([]string{public})
	b.run()
	b.devices(asSet)
	if err := os.Chmod(filepath.Join(deviceplugin.Dir(b.kubelet.Dir), "kubelet.sock"), 0o660); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if count := b.kubelet.Registrations(public); count != 1 || !b.Registered(public) {
		t.Errorf("registered %d times, %t", count, b.Registered(public))
	}
}

// TestKubeletDropsTheConnection and stays: it is registered with again, but not at once, if it does so again and again.
func TestKubeletDropsTheConnection(t *testing.T) {
	b := newBench(t)
	b.kubelet.Start()
	b.Serve([]string{public})
	b.run()
	for i := range 2 {
		b.devices(asSet)
		begun := time.Now()
		b.kubelet.Drop(public)
		b.kubelet.Eventually("false", func() string { return fmt.Sprint(b.Registered(public)) })
		b.kubelet.Eventually(fmt.Sprint(i+2), func() string { return fmt.Sprint(b.kubelet.Registrations(public)) })
		if i > 0 && time.Since(begun) < 500*time.Millisecond {
			t.Errorf("registered again after %s", time.Since(begun))
		}
	}
	b.devices(asSet)
}

// TestKubeletRefuses for a while, as one that is not ready.
func TestKubeletRefuses(t *testing.T) {
	b := newBench(t)
	b.kubelet.Refuse(errors.New("not yet"))
	b.kubelet.Start()
	b.Serve([]string{public})
	b.run()
	time.Sleep(50 * time.Millisecond)
	if got := b.kubelet.Devices(public); got != "not registered" {
		t.Errorf("it has %s", got)
	}
	b.kubelet.Refuse(nil)
	b.devices(asSet)
}

// TestRefusalLongAfterRegistration: the pauses between the tries grow as always.
func TestRefusalLongAfterRegistration(t *testing.T) {
	b := newBench(t)
	b.Serve([]string{public})
	b.run()
	b.kubelet.Start()
	b.kubelet.Eventually("1", func() string { return fmt.Sprint(b.kubelet.Lists(public)) })
	time.Sleep(1100 * time.Millisecond) // longer than Watch
	b.kubelet.Refuse(errors.New("not now"))
	b.kubelet.Drop(public)
	b.kubelet.Eventually("true", func() string { return fmt.Sprint(b.kubelet.Refused() > 1) })
	before := b.kubelet.Refused()
	time.Sleep(200 * time.Millisecond)
	if again := b.kubelet.Refused() - before; again > 20 {
		t.Errorf("it has come %d times again, with pauses of 20 ms", again)
	}
	b.kubelet.Refuse(nil)
	b.kubelet.Eventually("true", func() string { return fmt.Sprint(b.Registered(public)) })
}

// TestSocketIsRemoved by somebody: the kubelet's connection lives, and a restarted one could not come back to it.
func TestSocketIsRemoved(t *testing.T) {
	b := newBench(t)
	b.kubelet.Start()
	b.Serve([]string{public})
	b.run()
	b.devices(asSet)
	if err := os.Remove(filepath.Join(deviceplugin.Dir(b.kubelet.Dir), "nri-sriov-public.sock")); err != nil {
		t.Fatal(err)
	}
	b.kubelet.Eventually("2", func() string { return fmt.Sprint(b.kubelet.Registrations(public)) })
	b.devices(asSet)
}

// TestResourcesComeAndGo with the config; a name that would make the socket's path too long is no hindrance.
func TestResourcesComeAndGo(t *testing.T) {
	long := "sriov.nri.io/" + strings.Repeat("n", 63)
	b := newBench(t)
	b.source.set(long, deviceplugin.Device{ID: "l", NUMANode: -1, Healthy: true})
	b.kubelet.Start()
	b.Serve([]string{public})
	b.run()
	b.devices(asSet)
	b.Serve([]string{public, long})
	b.kubelet.Eventually("l Healthy\n", func() string { return b.kubelet.Devices(long) })
	b.Serve([]string{long})
	b.devices("a Unhealthy on 1\nb Unhealthy\n")
	b.kubelet.Eventually("l Healthy\n", func() string { return b.kubelet.Devices(long) })
	if count := b.kubelet.Registrations(long); count != 1 {
		t.Errorf("the one that stays is registered %d times", count)
	}
	b.Serve([]string{public, long})
	b.devices(asSet)
	if files, err := os.ReadDir(deviceplugin.Dir(b.kubelet.Dir)); err != nil || len(files) != 3 {
		t.Errorf("%v, %v", files, err)
	}
}

// TestNothingStays behind when the plugin ends.
func TestNothingStays(t *testing.T) {
	b := newBench(t)
	b.kubelet.Start()
	b.Serve([]string{public})
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { b.Plugin.Run(ctx) })
	b.devices(asSet)
	cancel()
	ended.Wait()
	b.devices("a Unhealthy on 1\nb Unhealthy\n")
	if _, err := os.Lstat(filepath.Join(deviceplugin.Dir(b.kubelet.Dir), "nri-sriov-public.sock")); err == nil {
		t.Error("the socket stays")
	}
}
