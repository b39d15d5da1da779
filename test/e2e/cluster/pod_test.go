package cluster

import (
	"encoding/json"
	"testing"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

func TestManifest(t *testing.T) {
	pod := Pod{
		Name: "a", Node: "node-1", Annotations: map[string]string{Networks: "public"},
		Devices: map[string]int{"public": 2}, Resources: map[string]string{"memory": "64Mi"},
		Container: lab.Container{Command: []string{"x"}, RunAsUser: 7, RunAsGroup: 8, NoCapabilities: true, Mounts: lab.UserlandMounts()},
	}
	var read struct {
		Metadata struct{ Namespace string }
		Spec     struct {
			NodeSelector map[string]string
			Containers   []struct {
				Image     string
				Resources struct{ Limits map[string]any }
			}
		}
	}
	if err := json.Unmarshal([]byte(pod.Manifest()), &read); err != nil {
		t.Fatal(err)
	}
	container := read.Spec.Containers[0]
	if read.Metadata.Namespace != "default" || read.Spec.NodeSelector["kubernetes.io/hostname"] != "node-1" || container.Image != lab.Image {
		t.Errorf("%+v", read)
	}
	if limits := container.Resources.Limits; limits["sriov.nri.io/public"] != 2.0 || limits["memory"] != "64Mi" || len(limits) != 2 {
		t.Errorf("%v", limits)
	}
}
