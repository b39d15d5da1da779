package hooks

import (
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// TestInitContainerWithADevice: the kubelet names the container that gets the VF after it, and gave it to the init container
// first. Where the annotation says who may use it, that is all who may.
func TestInitContainerWithADevice(t *testing.T) {
	address := vf.PCIAddress{Bus: 1, Device: 0x10}
	attachments := []attach.Attachment{{Network: "fast", Interface: "net1", Address: address, Containers: []string{"dpdk"}}}
	for _, c := range []struct {
		name, networks, given string
		want                  bool
	}{
		{"given", "", address.String(), true},
		{"given among others", "", "0000:02:10.0," + address.String(), true},
		{"given another one", "", "0000:02:10.0", false},
		{"given none", "", "", false},
		{"beside an annotation of another network", "public", address.String(), true},
		{"by annotation", `[{network: fast, containers: [dpdk]}]`, address.String(), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			probe := &api.Container{Name: "probe"}
			if c.given != "" {
				probe.Annotations = map[string]string{config.GivenAnnotation + "fast": c.given}
			}
			got, err := forInit(sandboxFacts{networks: c.networks, asks: c.networks != ""}, probe, attachments)
			if err != nil || len(got) != 1 || got[0].UsableBy("probe") != c.want || !got[0].UsableBy("dpdk") {
				t.Errorf("%+v, %v", got, err)
			}
			if attachments[0].UsableBy("probe") {
				t.Error("the pod's own attachments are others now")
			}
		})
	}
}
