package main

import (
	"context"
	"os"
	"testing"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
)

// shortFolder is one whose name is short enough for sockets in it.
func shortFolder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nri")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// startRuntime starts NRI's own part of a runtime, with these sandboxes, on a socket in a folder without plugins.
func startRuntime(t testing.TB, dir, socket string, pods []*api.PodSandbox) *adaptation.Adaptation {
	t.Helper()
	list := func(ctx context.Context, cb adaptation.SyncCB) error {
		_, err := cb(ctx, pods, nil)
		return err
	}
	update := func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil }
	runtime, err := adaptation.New("test", "v0", list, update,
		adaptation.WithSocketPath(socket), adaptation.WithPluginPath(dir), adaptation.WithPluginConfigPath(dir))
	if err == nil {
		err = runtime.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(runtime.Stop)
	return runtime
}
