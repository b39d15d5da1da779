// Package kubetest is a kubelet without pods, for tests: it speaks the device plugin API and the pod-resources API on real
// sockets, and gives devices to pods as the real one does.
package kubetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	plugin "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
	resources "k8s.io/kubelet/pkg/apis/podresources/v1"
)

// Kubelet is one kubelet. It keeps what pods have over a restart, as the real one does with its checkpoint.
type Kubelet struct {
	testing.TB
	Dir string
	// KeepsSockets has it leave other plugins' sockets in their folder when it starts.
	KeepsSockets bool

	mutex     sync.Mutex
	resources map[string]*resource
	// pods are what is given, by namespace/name, container and resource.
	pods map[string]map[string]map[string][]string
	// order is that of their admission.
	order   []string
	refuse  error
	refused int
	noGet   bool
	hold    chan struct{}
	twice   map[string]bool
	asked   map[string]int
	running *running
}

// resource is what a plugin has registered.
type resource struct {
	endpoint   string
	connection *grpc.ClientConn
	client     plugin.DevicePluginClient
	devices    map[string]*plugin.Device
	// lists counts what the plugin has sent, registrations how often it has come.
	lists, registrations int
	// watching until the connection ends.
	watching bool
}

type running struct {
	servers []*grpc.Server
	cancel  context.CancelFunc
	work    sync.WaitGroup
}

// New makes a kubelet that has not been started, in a folder of its own whose path is short enough for sockets.
func New(t testing.TB) *Kubelet {
	t.Helper()
	dir, err := os.MkdirTemp("", "kl")
	if err != nil {
		t.Fatal(err)
	}
	k := &Kubelet{
		TB: t, Dir: dir, resources: map[string]*resource{}, pods: map[string]map[string]map[string][]string{},
		twice: map[string]bool{}, asked: map[string]int{},
	}
	t.Cleanup(func() {
		k.Stop()
		_ = os.RemoveAll(dir)
	})
	return k
}

// Start removes what lies in the folder of the plugins and serves, as a kubelet that starts does.
func (k *Kubelet) Start() {
	k.Helper()
	k.StartPlugins()
	k.StartResources()
}

// StartPlugins starts only the part that plugins register with.
func (k *Kubelet) StartPlugins() {
	k.Helper()
	dir := filepath.Join(k.Dir, "device-plugins")
	k.must(os.MkdirAll(dir, 0o700))
	files, err := os.ReadDir(dir)
	k.must(err)
	for _, file := range files {
		if k.KeepsSockets && file.Name() != "kubelet.sock" {
			continue
		}
		k.must(os.RemoveAll(filepath.Join(dir, file.Name())))
	}
	k.serve(filepath.Join(dir, "kubelet.sock"), func(s *grpc.Server) { plugin.RegisterRegistrationServer(s, &registration{kubelet: k}) })
}

// StartResources starts only the part that tells what pods have.
func (k *Kubelet) StartResources() {
	k.Helper()
	dir := filepath.Join(k.Dir, "pod-resources")
	k.must(os.MkdirAll(dir, 0o700))
	k.must(os.RemoveAll(filepath.Join(dir, "kubelet.sock")))
	k.serve(filepath.Join(dir, "kubelet.sock"), func(s *grpc.Server) { resources.RegisterPodResourcesListerServer(s, &lister{kubelet: k}) })
}

func (k *Kubelet) serve(socket string, register func(*grpc.Server)) {
	k.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", socket)
	k.must(err)
	server := grpc.NewServer()
	register(server)
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.running == nil {
		_, cancel := context.WithCancel(context.Background())
		k.running = &running{cancel: cancel}
	}
	k.running.servers = append(k.running.servers, server)
	k.running.work.Go(func() { _ = server.Serve(listener) })
}

// Stop ends the kubelet; its sockets stay where they are, as after a kill.
func (k *Kubelet) Stop() {
	k.mutex.Lock()
	run := k.running
	k.running = nil
	connections := []*grpc.ClientConn{}
	for _, one := range k.resources {
		connections = append(connections, one.connection)
	}
	k.resources = map[string]*resource{}
	k.mutex.Unlock()
	if run == nil {
		return
	}
	run.cancel()
	for _, server := range run.servers {
		server.Stop()
	}
	for _, connection := range connections {
		_ = connection.Close()
	}
	run.work.Wait()
}

func (k *Kubelet) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// registration takes plugins' registrations.
type registration struct {
	plugin.UnimplementedRegistrationServer
	kubelet *Kubelet
}

func (r *registration) Register(_ context.Context, request *plugin.RegisterRequest) (*plugin.Empty, error) {
	k := r.kubelet
	k.mutex.Lock()
	defer k.mutex.Unlock()
	switch {
	case k.refuse != nil:
		k.refused++
		return nil, k.refuse
	case request.GetVersion() != "v1beta1" || !request.GetOptions().GetGetPreferredAllocationAvailable():
		return nil, fmt.Errorf("not as it should be: %v", request)
	case k.running == nil:
		return nil, errors.New("the kubelet ends")
	}
	connection, err := grpc.NewClient("unix:"+filepath.Join(k.Dir, "device-plugins", request.GetEndpoint()), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	one := &resource{endpoint: request.GetEndpoint(), connection: connection, client: plugin.NewDevicePluginClient(connection)}
	if before := k.resources[request.GetResourceName()]; before != nil {
		if before.endpoint == request.GetEndpoint() && before.watching {
			_ = connection.Close()
			return nil, fmt.Errorf("device plugin already connected: %s", request.GetEndpoint()) // as Kubernetes 1.37
		}
		one.registrations, one.lists = before.registrations, before.lists
		_ = before.connection.Close()
	}
	one.registrations++
	one.watching = true
	k.resources[request.GetResourceName()] = one
	k.running.work.Go(func() { k.watch(request.GetResourceName(), one) })
	return &plugin.Empty{}, nil
}

// watch takes what a plugin lists until its connection ends; then all of its devices are unhealthy.
func (k *Kubelet) watch(name string, one *resource) {
	stream, err := one.client.ListAndWatch(context.Background(), &plugin.Empty{})
	for err == nil {
		var answer *plugin.ListAndWatchResponse
		if answer, err = stream.Recv(); err == nil {
			k.mutex.Lock()
			one.devices = map[string]*plugin.Device{}
			for _, device := range answer.GetDevices() {
				one.devices[device.GetID()] = device
			}
			one.lists++
			k.mutex.Unlock()
		}
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	one.watching = false
	for _, device := range one.devices {
		device.Health = plugin.Unhealthy
	}
	if k.resources[name] == one {
		_ = one.connection.Close()
	}
}

// Drop ends the connection to a plugin, and goes on.
func (k *Kubelet) Drop(name string) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	_ = k.resources[name].connection.Close()
}

// Refuse refuses registrations until err is nil.
func (k *Kubelet) Refuse(err error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.refuse = err
}

// Refused counts the registrations that were refused.
func (k *Kubelet) Refused() int {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	return k.refused
}

// Devices draws what is known of a resource, one device a line.
func (k *Kubelet) Devices(name string) string {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	text := ""
	one := k.resources[name]
	if one == nil {
		return "not registered"
	}
	for _, id := range slices.Sorted(maps.Keys(one.devices)) {
		text += id + " " + one.devices[id].GetHealth()
		for _, node := range one.devices[id].GetTopology().GetNodes() {
			text += fmt.Sprintf(" on %d", node.GetID())
		}
		text += "\n"
	}
	return text
}

// Lists and Registrations count what a plugin has sent, and how often it has come.
func (k *Kubelet) Lists(name string) int {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if one := k.resources[name]; one != nil {
		return one.lists
	}
	return 0
}

// Registrations counts how often the plugin of a resource has come since the kubelet's start.
func (k *Kubelet) Registrations(name string) int {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if one := k.resources[name]; one != nil {
		return one.registrations
	}
	return 0
}

// Eventually waits until something is as it should be.
func (k *Kubelet) Eventually(want string, got func() string) {
	k.Helper()
	var last string
	for range 1000 {
		if last = got(); last == want {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	k.Fatalf("it is\n%s\nwanted\n%s", last, want)
}
