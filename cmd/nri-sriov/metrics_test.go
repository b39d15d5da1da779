package main

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-sriov/nri-sriov/pkg/request"
)

// TestMetricsOfHooks: what the runtime waited for is served, by hook.
func TestMetricsOfHooks(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d, err := madeUp(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := d.attacher.Wait(context.Background()); err != nil {
			t.Error(err)
		}
	})
	probes := d.probes()
	pod := &api.PodSandbox{
		Id: "s1", Name: "web", Namespace: "prod", Annotations: map[string]string{request.NetworksAnnotation: "default"},
		Linux: &api.LinuxPodSandbox{Namespaces: []*api.LinuxNamespace{{Type: "network", Path: "/proc/self/ns/net"}}},
	}
	if err := d.plugin.RunPodSandbox(ctx, pod); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.plugin.CreateContainer(ctx, pod, &api.Container{Id: "c1", Name: "app"}); err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	probes.ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`nri_sriov_hook_duration_seconds_count{hook="RunPodSandbox"} 1`,
		`nri_sriov_hook_duration_seconds_count{hook="CreateContainer"} 1`,
		`nri_sriov_hook_duration_seconds_bucket{hook="RunPodSandbox",le="0.005"} `,
		`nri_sriov_gate_wait_seconds_count 1`,
	} {
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("no %s in\n%s", want, answer.Body)
		}
	}
}
