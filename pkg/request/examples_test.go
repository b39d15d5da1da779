package request

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/nri-sriov/nri-sriov/pkg/config"
)

// Every example of a pod is parsed, and may ask what it asks of the node of the example for tenants.
func TestExamplesAreGranted(t *testing.T) {
	node, err := config.Load("../../configs/examples/node-tenants.yaml")
	if err != nil || node.Source == "" {
		t.Fatalf("the node is missing: %v", err)
	}
	files, err := filepath.Glob("../../configs/examples/pod-*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][][]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var manifest struct {
			Metadata struct {
				Namespace   string            `yaml:"namespace"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"metadata"`
		}
		if err := yaml.Unmarshal(text, &manifest); err != nil {
			t.Fatal(err)
		}
		annotations := manifest.Metadata.Annotations
		pod, err := Parse(annotations[NetworksAnnotation], annotations[GroupPolicyAnnotation])
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if _, err := Authorise(pod, node, manifest.Metadata.Namespace); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		for _, group := range pod.Groups {
			name := filepath.Base(file)
			got[name] = append(got[name], append([]string{group.Network}, group.Interfaces...))
		}
	}
	want := map[string][][]string{
		"pod-short-form.yaml": {{"public", "eth1"}, {"storage", "net1"}},
		"pod-list.yaml":       {{"public", "net1"}, {"storage", "data0", "data1"}},
		"pod-json.yaml":       {{"storage", "data"}, {"public", "net1"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("networks and interfaces (-want +got):\n%s", diff)
	}
}
