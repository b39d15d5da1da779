package deviceplugin

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	v1beta1 "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// gather is how long changes are gathered before the kubelet is told: a pod with many VFs is one change.
const gather = 20 * time.Millisecond

// server serves one resource.
type server struct {
	v1beta1.UnimplementedDevicePluginServer
	plugin         *Plugin
	resource, path string
	// registered is when the kubelet that is there has taken the registration; it belongs to Plugin.Run.
	registered time.Time
	// watches are the kubelet's questions for the devices that are open: more than one only in a moment between two kubelets.
	watches atomic.Int32
	// told is the number of the last change that was told, or needed not be.
	told    atomic.Uint64
	socket  os.FileInfo
	grpc    *grpc.Server
	stopped chan struct{}
	serving sync.WaitGroup
}

var _ v1beta1.DevicePluginServer = (*server)(nil)

// longestPath is the length of sockaddr_un's path without the closing zero byte.
const longestPath = 107

// socketPath names a resource's socket; a name that would make the path too long becomes its hash.
func socketPath(dir, resource string) string {
	name := "nri-sriov-" + resource[strings.LastIndexByte(resource, '/')+1:]
	if len(dir)+len(name)+len("/.sock") > longestPath {
		hash := fnv.New64a()
		_, _ = hash.Write([]byte(resource)) // it never fails
		name = fmt.Sprintf("nri-sriov-%016x", hash.Sum64())
	}
	return filepath.Join(dir, name+".sock")
}

func (p *Plugin) start(resource string) (*server, error) {
	s := &server{plugin: p, resource: resource, path: socketPath(p.dir, resource), stopped: make(chan struct{}), grpc: grpc.NewServer()}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", s.path)
	if err != nil {
		return nil, err
	}
	// A later server's socket may lie there when this one ends.
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	if s.socket, err = os.Lstat(s.path); err == nil {
		err = os.Chmod(s.path, 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	v1beta1.RegisterDevicePluginServer(s.grpc, s)
	s.serving.Go(func() {
		if err := s.grpc.Serve(listener); err != nil {
			p.log.WithField("resource", resource).WithError(err).Debug("a resource's server has ended")
		}
	})
	return s, nil
}

// there tells whether the socket is the server's still.
func (s *server) there() bool {
	now, err := os.Lstat(s.path)
	return err == nil && os.SameFile(now, s.socket)
}

// watched tells whether a kubelet listens to what becomes of the devices.
func (s *server) watched() bool { return s.watches.Load() > 0 }

// stop ends the server, which the kubelet notices by its connection.
func (s *server) stop() {
	close(s.stopped)
	s.grpc.Stop()
	s.serving.Wait()
	if s.there() {
		if err := os.Remove(s.path); err != nil {
			s.plugin.log.WithField("resource", s.resource).WithError(err).Debug("remove a resource's socket")
		}
	}
}

// GetDevicePluginOptions says what the kubelet may ask.
func (s *server) GetDevicePluginOptions(context.Context, *v1beta1.Empty) (*v1beta1.DevicePluginOptions, error) {
	return &v1beta1.DevicePluginOptions{GetPreferredAllocationAvailable: true}, nil
}

// ListAndWatch tells of the devices, and again whenever something of them has changed.
func (s *server) ListAndWatch(_ *v1beta1.Empty, stream grpc.ServerStreamingServer[v1beta1.ListAndWatchResponse]) error {
	var last []Device
	s.watches.Add(1)
	defer func() {
		s.watches.Add(-1)
		s.plugin.look() // a kubelet that has gone comes back
	}()
	for first := true; ; first = false {
		changed, number := s.plugin.nextChange() // before it is looked, so that no change is missed
		devices := s.plugin.source.Devices(s.resource)
		if first || !slices.Equal(devices, last) {
			if err := stream.Send(&v1beta1.ListAndWatchResponse{Devices: told(devices)}); err != nil {
				return err
			}
			last = devices
		}
		s.told.Store(number)
		select {
		case <-changed:
		case <-s.stopped:
			return status.Error(codes.Unavailable, "the plugin ends")
		case <-stream.Context().Done():
			return nil
		}
		select {
		case <-time.After(gather):
		case <-s.stopped: // said above
		}
	}
}

func told(devices []Device) []*v1beta1.Device {
	list := []*v1beta1.Device{}
	for _, one := range devices {
		device := &v1beta1.Device{ID: one.ID, Health: v1beta1.Unhealthy}
		if one.Healthy {
			device.Health = v1beta1.Healthy
		}
		if one.NUMANode >= 0 {
			device.Topology = &v1beta1.TopologyInfo{Nodes: []*v1beta1.NUMANode{{ID: int64(one.NUMANode)}}}
		}
		list = append(list, device)
	}
	return list
}

// Allocate is told what containers are given. They get their VFs otherwise, so that all they are granted is a note. The answer
// comes when the resources that share them have been told of.
func (s *server) Allocate(ctx context.Context, request *v1beta1.AllocateRequest) (*v1beta1.AllocateResponse, error) {
	answer := &v1beta1.AllocateResponse{}
	for _, container := range request.GetContainerRequests() {
		annotations, err := s.plugin.source.Allocate(s.resource, container.GetDevicesIds())
		if err != nil {
			return nil, status.Error(codes.NotFound, err.Error())
		}
		answer.ContainerResponses = append(answer.ContainerResponses, &v1beta1.ContainerAllocateResponse{Annotations: annotations})
	}
	s.plugin.tellOthers(ctx, s.resource)
	return answer, nil
}

// GetPreferredAllocation says which devices are the best for containers.
func (s *server) GetPreferredAllocation(_ context.Context, request *v1beta1.PreferredAllocationRequest) (*v1beta1.PreferredAllocationResponse, error) {
	answer := &v1beta1.PreferredAllocationResponse{}
	for _, container := range request.GetContainerRequests() {
		ids := s.plugin.source.Prefer(s.resource, container.GetAvailableDeviceIDs(), container.GetMustIncludeDeviceIDs(), int(container.GetAllocationSize()))
		answer.ContainerResponses = append(answer.ContainerResponses, &v1beta1.ContainerPreferredAllocationResponse{DeviceIDs: ids})
	}
	return answer, nil
}

// PreStartContainer is never asked for; see GetDevicePluginOptions.
func (s *server) PreStartContainer(context.Context, *v1beta1.PreStartContainerRequest) (*v1beta1.PreStartContainerResponse, error) {
	return &v1beta1.PreStartContainerResponse{}, nil
}
