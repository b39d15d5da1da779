package configs

import (
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/request"
)

type securityContext struct {
	RunAsNonRoot             bool  `yaml:"runAsNonRoot"`
	RunAsUser                int   `yaml:"runAsUser"`
	RunAsGroup               int   `yaml:"runAsGroup"`
	AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
	Capabilities             struct {
		Drop []string `yaml:"drop"`
	} `yaml:"capabilities"`
}

// dpdkPod is all that the example may say: whatever gives it more than its VF would be an unknown key.
type dpdkPod struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name        string            `yaml:"name"`
		Namespace   string            `yaml:"namespace"`
		Annotations map[string]string `yaml:"annotations"`
	} `yaml:"metadata"`
	Spec struct {
		SecurityContext securityContext `yaml:"securityContext"`
		Containers      []struct {
			Name            string                       `yaml:"name"`
			Image           string                       `yaml:"image"`
			Command         []string                     `yaml:"command"`
			Args            []string                     `yaml:"args"`
			SecurityContext securityContext              `yaml:"securityContext"`
			Resources       map[string]map[string]string `yaml:"resources"`
		} `yaml:"containers"`
	} `yaml:"spec"`
}

func TestDPDKPod(t *testing.T) {
	node, err := config.Load("examples/node-dpdk.yaml")
	if err != nil || node.Source == "" || node.Hugepages != "/dev/hugepages" {
		t.Fatalf("the node: %+v, %v", node, err)
	}
	file, err := os.Open("examples/dpdk-pod.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var manifest dpdkPod
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	if err := decoder.Decode(&manifest); err != nil {
		t.Fatal(err)
	}
	pod, err := request.Parse(manifest.Metadata.Annotations[request.NetworksAnnotation], "")
	if err != nil {
		t.Fatal(err)
	}
	granted, err := request.Authorise(pod, node, manifest.Metadata.Namespace)
	if err != nil || len(granted) != 1 || granted[0].Network.Device != config.DeviceVFIO || !slices.Equal(granted[0].Containers, []string{"dpdk"}) {
		t.Fatalf("%+v, %v", granted, err)
	}
	if user := manifest.Spec.SecurityContext; !user.RunAsNonRoot || user.RunAsUser == 0 || user.RunAsGroup == 0 {
		t.Errorf("the pod runs as %+v", user)
	}
	for _, one := range manifest.Spec.Containers {
		may := one.SecurityContext
		if may.AllowPrivilegeEscalation == nil || *may.AllowPrivilegeEscalation || !slices.Equal(may.Capabilities.Drop, []string{"ALL"}) {
			t.Errorf("container %s may do more than it should: %+v", one.Name, may)
		}
	}
	dpdk := manifest.Spec.Containers[0]
	variable := "$PCIDEVICE_SRIOV_NRI_IO_" + granted[0].Network.EnvName()
	if dpdk.Name != "dpdk" || len(dpdk.Args) != 1 || !strings.Contains(dpdk.Args[0], `-a "`+variable+`"`) {
		t.Errorf("container %s runs %q, without %s", dpdk.Name, dpdk.Args, variable)
	}
	if dpdk.Resources["limits"]["hugepages-2Mi"] == "" {
		t.Error("the container has no huge pages")
	}
}
