package hooks_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
)

// start starts a container that has mounts at these paths.
func (r *runtime) start(pod *api.PodSandbox, container *api.Container, mounts ...string) error {
	container.Id, container.PodSandboxId, container.Mounts = "c-"+container.GetName(), pod.GetId(), nil
	for _, at := range append([]string{"/proc"}, mounts...) {
		container.Mounts = append(container.Mounts, &api.Mount{Destination: at})
	}
	return r.StartContainer(r.Context(), &adaptation.StartContainerRequest{Pod: pod, Container: container})
}

// TestContainerThatNobodyAnsweredForDoesNotStart: what was created without the plugin's answer lacks its devices.
func TestContainerThatNobodyAnsweredForDoesNotStart(t *testing.T) {
	c := newCluster(t, 2)
	told := c.refusals()
	given := c.give("web", "app", resA, 1)
	for name, one := range map[string]struct {
		networks    string
		annotations map[string]string
		mounts      []string
		refused     bool
	}{
		"annotation":       {networks: "a", refused: true},
		"resource":         {annotations: given, refused: true},
		"described":        {networks: "a", mounts: []string{hooks.NetworksPath}},
		"given, described": {annotations: given, mounts: []string{hooks.NetworksPath}},
		"elsewhere":        {networks: "a", mounts: []string{hooks.NetworksPath + ".old"}, refused: true},
		"asks for nothing": {annotations: map[string]string{"example.com/a": "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.start(named("web", one.networks), container("app", one.annotations), one.mounts...)
			refusals := told()
			if !one.refused {
				if err != nil || len(refusals) != 0 {
					t.Errorf("%v, %v", err, refusals)
				}
				return
			}
			want := "nri-sriov: pod prod/web: container app: it was created while nri-sriov did not answer, so without its devices and " +
				hooks.NetworksPath + ": create it anew, as the kubelet does by itself where the pod's restartPolicy lets it"
			if err == nil || sentenceOf(err) != want {
				t.Errorf("%v\nwanted\n%s", err, want)
			}
			if len(refusals) != 1 || refusals[0].Reason != hooks.Unprepared || refusals[0].Container != "app" || refusals[0].Runs {
				t.Errorf("%+v", refusals)
			}
		})
	}
}

// TestStartBeforeTheNodeIsReady: nobody answers for the container then either, unless another daemon serves it.
func TestStartBeforeTheNodeIsReady(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(1, 1), nil, false)
	served := false
	r.plugin.StandAside(func(context.Context) bool { return served })
	given := map[string]string{config.GivenAnnotation + "public": "0000:01:00.1"}
	asks, strange := named("web", "public"), named("web", "")
	for _, served = range []bool{false, true} {
		for _, err := range []error{r.start(asks, container("app", nil)), r.start(strange, container("app", given))} {
			if (err == nil) != served {
				t.Errorf("another daemon serves: %t, and the start says %v", served, err)
			}
		}
	}
	served = false
	if _, err := r.createContainer(strange, container("app", given)); err == nil || !strings.Contains(err.Error(), "still starting") {
		t.Errorf("a container that was given a VF is created before the node is ready: %v", err)
	}
	// Without a kubelet the note means nothing.
	r.plugin.Start(r.node)
	if err := r.start(strange, container("app", given)); err != nil {
		t.Error(err)
	}
}

// TestEachCreatedContainerStarts: what CreateContainer gave is what StartContainer looks for.
func TestEachCreatedContainerStarts(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(1, 2), nil, true)
	one := pod("s1", "prod", `[{network: public, containers: [app]}]`)
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"app", "sidecar"} {
		adjustment, err := r.create(one, name)
		if err != nil {
			t.Fatal(err)
		}
		var mounts []string
		for _, mount := range adjustment.GetMounts() {
			mounts = append(mounts, mount.GetDestination())
		}
		if err := r.start(one, container(name, nil), mounts...); err != nil {
			t.Errorf("%s was created with %v: %v", name, mounts, err)
		}
		if !slices.Contains(mounts, hooks.NetworksPath) {
			t.Errorf("%s was created with %v", name, mounts)
		}
	}
}

// TestRunningContainerThatNobodyAnsweredFor: it is too late to hold it back; somebody is told.
func TestRunningContainerThatNobodyAnsweredFor(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(1, 2), nil, false)
	refusals := r.refusals()
	asks, strange := pod("s1", "prod", "public"), named("web", "")
	described := &api.Container{
		Name: "described", PodSandboxId: "s1", State: api.ContainerState_CONTAINER_RUNNING, Mounts: []*api.Mount{{Destination: hooks.NetworksPath}},
	}
	containers := []*api.Container{
		{Name: "bare", PodSandboxId: "s1", State: api.ContainerState_CONTAINER_RUNNING},
		{Name: "ended", PodSandboxId: "s1", State: api.ContainerState_CONTAINER_STOPPED},
		{Name: "created", PodSandboxId: "s1", State: api.ContainerState_CONTAINER_CREATED},
		{Name: "stranger", PodSandboxId: strange.Id, State: api.ContainerState_CONTAINER_RUNNING},
		described,
	}
	for _, ready := range []bool{false, true} {
		if _, err := r.plugin.Synchronize(t.Context(), []*api.PodSandbox{asks, strange}, containers); err != nil {
			t.Fatal(err)
		}
		if !ready {
			r.plugin.Start(r.node)
		}
		told := refusals()
		if len(told) != 1 || told[0].Container != "bare" || told[0].Reason != hooks.Unprepared || !told[0].Runs {
			t.Errorf("ready before: %t; told %+v", ready, told)
		}
	}
	r.end(asks)
	r.eventuallyFree(2)
}
