// Command otherplugin is somebody else's device plugin, for a test: it offers the devices that its arguments name, as the
// SR-IOV device plugin does, and knows nothing of nri-sriov.
//
//	otherplugin RESOURCE PCI-ADDRESS…
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	deviceplugin "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const socket = "other.sock"

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: otherplugin RESOURCE PCI-ADDRESS…")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "otherplugin:", err)
		os.Exit(1)
	}
}

func serve(resource string, addresses []string) error {
	listener, err := net.Listen("unix", filepath.Join(deviceplugin.DevicePluginPath, socket))
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	deviceplugin.RegisterDevicePluginServer(server, &plugin{resource: resource, addresses: addresses})
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	kubelet, err := grpc.NewClient("unix://"+deviceplugin.KubeletSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer kubelet.Close()
	_, err = deviceplugin.NewRegistrationClient(kubelet).Register(context.Background(), &deviceplugin.RegisterRequest{
		Version: deviceplugin.Version, Endpoint: socket, ResourceName: resource, Options: &deviceplugin.DevicePluginOptions{},
	})
	if err != nil {
		return fmt.Errorf("register %s: %w", resource, err)
	}
	fmt.Println("registered", resource, addresses)
	return <-failed
}

type plugin struct {
	deviceplugin.UnimplementedDevicePluginServer
	resource  string
	addresses []string
}

func (p *plugin) GetDevicePluginOptions(context.Context, *deviceplugin.Empty) (*deviceplugin.DevicePluginOptions, error) {
	return &deviceplugin.DevicePluginOptions{}, nil
}

func (p *plugin) ListAndWatch(_ *deviceplugin.Empty, stream deviceplugin.DevicePlugin_ListAndWatchServer) error {
	var devices []*deviceplugin.Device
	for _, address := range p.addresses {
		devices = append(devices, &deviceplugin.Device{ID: address, Health: deviceplugin.Healthy})
	}
	if err := stream.Send(&deviceplugin.ListAndWatchResponse{Devices: devices}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func (p *plugin) Allocate(_ context.Context, request *deviceplugin.AllocateRequest) (*deviceplugin.AllocateResponse, error) {
	variable := "PCIDEVICE_" + strings.ToUpper(strings.NewReplacer(".", "_", "/", "_", "-", "_").Replace(p.resource))
	response := &deviceplugin.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		response.ContainerResponses = append(response.ContainerResponses, &deviceplugin.ContainerAllocateResponse{
			Envs: map[string]string{variable: strings.Join(container.DevicesIds, ",")},
		})
	}
	return response, nil
}
