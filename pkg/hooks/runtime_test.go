package hooks_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/request"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/sirupsen/logrus"
)

// runtime is the runtime's side of NRI in this process, with the plugin connected to it over a socket.
type runtime struct {
	testing.TB
	*adaptation.Adaptation
	world  *attachtest.World
	pool   *inventory.Pool
	plugin *hooks.Plugin
	node   *hooks.Node
	dir    string
	// listing is what the runtime's list of pods took, until the plugin had answered.
	listing time.Duration
}

const testConfig = `
apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
networks:
  - name: public
    vlan: {id: 100}
    allow: [mac, ips]
    macPrefix: "02:00:00"
    subnets: ["192.0.2.0/24"]
  - name: team-net.b
    namespaces: ["team-*"]
  - name: fixed
    ipam: {type: static, addresses: [{address: 198.51.100.5/24, gateway: 198.51.100.1}]}
    routes: [{dst: "203.0.113.0/24", gw: "198.51.100.1"}]
    cniVersion: "0.4.0"
`

// newRuntime starts a runtime with pods running already, and the plugin; the node becomes ready with ready.
func newRuntime(t testing.TB, world *attachtest.World, running []*api.PodSandbox, ready bool) *runtime {
	t.Helper()
	// t.TempDir would make the socket's path longer than the system allows.
	dir, err := os.MkdirTemp("", "nri")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return newRuntimeIn(t, dir, world, running, ready)
}

// newRuntimeIn is newRuntime with a folder in which a daemon may have left records.
func newRuntimeIn(t testing.TB, dir string, world *attachtest.World, running []*api.PodSandbox, ready bool) *runtime {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	ctx, cancel := context.WithCancel(t.Context())
	r := &runtime{TB: t, world: world, pool: inventory.NewPool(isolated(world.Providers())), dir: dir, plugin: hooks.New(log, nil)}
	r.node = newNode(ctx, t, r, log)
	if ready {
		r.plugin.Start(r.node)
	}
	sync := func(ctx context.Context, cb adaptation.SyncCB) error {
		begun := time.Now()
		_, err := cb(ctx, running, nil)
		r.listing = time.Since(begun)
		return err
	}
	var socket string
	r.Adaptation, socket = startAdaptation(t, dir, sync)
	r.connect(ctx, socket)
	r.listed()
	t.Cleanup(func() {
		cancel()
		r.Adaptation.Stop()
		if err := r.node.Attacher.Wait(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// startAdaptation starts NRI's own part of a runtime on a socket in a folder without plugins; it is for the caller to stop.
func startAdaptation(t testing.TB, dir string, list adaptation.SyncFn) (runtime *adaptation.Adaptation, socket string) {
	t.Helper()
	socket = filepath.Join(dir, "nri.sock")
	update := func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil }
	runtime, err := adaptation.New("test", "v0", list, update,
		adaptation.WithSocketPath(socket), adaptation.WithPluginPath(dir), adaptation.WithPluginConfigPath(dir))
	if err == nil {
		err = runtime.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return runtime, socket
}

// isolated puts each VF in an IOMMU group of its own.
func isolated(providers []*inventory.Provider) []*inventory.Provider {
	group := 20
	for _, provider := range providers {
		for _, one := range provider.VFs {
			one.IOMMUGroup = group
			group++
		}
	}
	return providers
}

func newNode(ctx context.Context, t testing.TB, r *runtime, log *logrus.Logger) *hooks.Node {
	t.Helper()
	node, err := config.Parse("test.yaml", []byte(testConfig))
	if err != nil {
		t.Fatal(err)
	}
	records, err := journal.Open(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	results, err := attach.OpenResults(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	attacher := attach.New(ctx, attach.Options{
		Pool: r.pool, Journal: records, Results: results, Device: r.world, Address: r.world, Announce: r.world, Settings: r.world.SettingsOf, Open: vf.OpenNamespace,
		Times: attach.DefaultTimes(), Log: log,
	})
	loaded, _, err := records.Load()
	if err != nil {
		t.Fatal(err)
	}
	attacher.Recover(loaded)
	return &hooks.Node{Config: node, Attacher: attacher, Results: results}
}

// listed waits until the runtime asks the plugin: it lists it only some time after it has told it of its pods, and what is
// asked before that nobody refuses.
func (r *runtime) listed() {
	r.Helper()
	nonsense := &api.PodSandbox{Id: "listed", Annotations: map[string]string{request.NetworksAnnotation: "["}}
	for range 1000 {
		if r.RunPodSandbox(r.Context(), &adaptation.RunPodSandboxRequest{Pod: nonsense}) != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.Fatal("the runtime does not ask the plugin")
}

func (r *runtime) connect(ctx context.Context, socket string) {
	r.Helper()
	connection, err := stub.New(r.plugin, stub.WithSocketPath(socket), stub.WithPluginName("nri-sriov"), stub.WithPluginIdx("10"))
	if err != nil {
		r.Fatal(err)
	}
	r.plugin.SetTimeout(connection.RequestTimeout)
	var ended sync.WaitGroup
	ended.Go(func() { _ = connection.Run(ctx) })
	r.Cleanup(ended.Wait)
	for range 500 {
		if r.plugin.Synchronised() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.Fatal("the plugin does not get synchronised")
}

// pod is a sandbox with the annotation; its network namespace is this process's own, which the world never enters.
func pod(id, namespace, networks string) *api.PodSandbox {
	return &api.PodSandbox{
		Id: id, Name: "web", Uid: "uid-" + id, Namespace: namespace,
		Annotations: map[string]string{request.NetworksAnnotation: networks},
		Linux:       &api.LinuxPodSandbox{Namespaces: []*api.LinuxNamespace{{Type: "network", Path: "/proc/self/ns/net"}}},
	}
}

func (r *runtime) run(pod *api.PodSandbox) error {
	return r.RunPodSandbox(r.Context(), &adaptation.RunPodSandboxRequest{Pod: pod})
}

func (r *runtime) create(pod *api.PodSandbox, container string) (*api.ContainerAdjustment, error) {
	return r.createContainer(pod, &api.Container{Name: container})
}

// createContainer creates one that the test describes; its ids are filled in.
func (r *runtime) createContainer(pod *api.PodSandbox, container *api.Container) (*api.ContainerAdjustment, error) {
	container.Id, container.PodSandboxId = "c-"+container.GetName(), pod.GetId()
	answer, err := r.CreateContainer(r.Context(), &adaptation.CreateContainerRequest{Pod: pod, Container: container})
	return answer.GetAdjust(), err
}

// refusals records what the plugin tells of refusals, and answers a function that gives those since its last call.
func (r *runtime) refusals() func() []hooks.Refusal {
	var mutex sync.Mutex
	var all []hooks.Refusal
	r.plugin.Observe(hooks.Observer{
		Answered: func(string, time.Duration) {}, Waited: func(time.Duration) {},
		Refused: func(refusal hooks.Refusal) {
			mutex.Lock()
			defer mutex.Unlock()
			all = append(all, refusal)
		},
	})
	return func() []hooks.Refusal {
		mutex.Lock()
		defer mutex.Unlock()
		told := all
		all = nil
		return told
	}
}

// free counts the free VFs.
func (r *runtime) free() int {
	count := 0
	for _, provider := range r.pool.Providers() {
		for _, one := range provider.VFs {
			if one.State == inventory.Free {
				count++
			}
		}
	}
	return count
}

func (r *runtime) eventuallyFree(want int) {
	r.Helper()
	for range 500 {
		if r.free() == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.Fatalf("%d VFs are free, wanted %d", r.free(), want)
}
