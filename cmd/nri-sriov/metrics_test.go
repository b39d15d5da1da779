package main

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/request"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
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

// slow is a world whose drivers do not say how their VFs are until they may.
type slow struct {
	*attachtest.World
	asked, may chan struct{}
}

func (s slow) Drift(a attach.Attachment, pf vf.PF, ns *vf.Namespace) ([]string, error) {
	s.asked <- struct{}{}
	<-s.may
	return s.World.Drift(a, pf, ns)
}

// TestScrapeWaitsForNobody: drift is looked for beside the scrapes, which tell what was found last.
func TestScrapeWaitsForNobody(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	world := slow{attachtest.NewWorld(1, 1), make(chan struct{}), make(chan struct{})}
	d, err := madeUpOf(ctx, t.TempDir(), world.World, world)
	mustDo(t, err)
	mustDo(t, d.attacher.Attach(attach.Sandbox{ID: "s1", NetNS: "/proc/self/ns/net"}, []attach.Want{{Network: "default", Interfaces: []string{"net1"}, CNIVersion: "1.1.0"}}, false))
	_, err = d.attacher.Ready(ctx, "s1")
	mustDo(t, err)
	world.SetVLAN(attachtest.VFAddress(0, 0), 5)
	const name = "\nnri_sriov_drifted_attachments "
	scrape := func() string {
		t.Helper()
		begun, answer := time.Now(), httptest.NewRecorder()
		d.probes().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("a scrape took %v", took)
		}
		_, value, _ := strings.Cut(answer.Body.String(), name)
		value, _, _ = strings.Cut(value, "\n")
		return value
	}
	if value := scrape(); value != "" {
		t.Errorf("before anybody has looked there are %s", value)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.drift.follow(ctx)
	}()
	<-world.asked
	if value := scrape(); value != "" {
		t.Errorf("while it is looked there are %s", value)
	}
	close(world.may)
	for end := time.Now().Add(10 * time.Second); scrape() != "1"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("drift is not told")
		}
	}
	cancel()
	<-ended
	mustDo(t, d.attacher.Wait(context.Background()))
}
