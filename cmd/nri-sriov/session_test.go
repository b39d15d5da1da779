package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/request"
)

// TestDaemonEndsWhileAContainerWaits: the container is refused, in words, before the connection ends.
func TestDaemonEndsWhileAContainerWaits(t *testing.T) {
	dir := shortFolder(t)
	world := attachtest.NewWorld(1, 1)
	d, err := madeUpOf(t.Context(), dir, world, world)
	mustDo(t, err)
	runtime := startRuntime(t, dir, d.flags.nriSocket, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- d.connect(ctx, settingsLimit) }()
	release := world.Hold()
	defer release()
	pod := &api.PodSandbox{
		Id: strings.Repeat("a", 64), Name: "web", Uid: "uid-web", Namespace: "prod",
		Annotations: map[string]string{request.NetworksAnnotation: "default"},
		Linux:       &api.LinuxPodSandbox{Namespaces: []*api.LinuxNamespace{{Type: "network", Path: "/proc/self/ns/net"}}},
	}
	for !d.attacher.Known(pod.Id) { // the runtime asks a plugin some time after it has told it of its sandboxes
		mustDo(t, runtime.RunPodSandbox(t.Context(), &api.RunPodSandboxRequest{Pod: pod}))
		time.Sleep(time.Millisecond)
	}
	answer := make(chan error, 1)
	begun := time.Now()
	go func() {
		_, err := runtime.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: pod, Container: &api.Container{Id: "c", Name: "app"}})
		answer <- err
	}()
	time.Sleep(200 * time.Millisecond)
	cancel()
	if err := <-answer; err == nil || !strings.Contains(err.Error(), "the container is tried again") {
		t.Errorf("the runtime hears %v", err)
	}
	<-ended
	if took := time.Since(begun); took > 1300*time.Millisecond {
		t.Errorf("it took %s, as long as the gate waits", took)
	}
}
