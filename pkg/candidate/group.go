package candidate

import (
	"cmp"
	"errors"
	"slices"
	"strconv"

	"sigs.k8s.io/yaml"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/placement"
	"github.com/nri-sriov/nri-sriov/pkg/request"
)

// groupOf is one entry of an annotation.
func groupOf(one request.Granted, place int) placement.Group {
	network, count := one.Network, len(one.Interfaces)
	group := placement.Group{
		Suffix:    cmp.Or(one.Name, strconv.Itoa(place)),
		Resources: map[string]int{inventory.ClassVF: count},
		Required: placement.RequiredStrings(
			slices.Concat(network.Required, one.Required), slices.Concat(network.Forbidden, one.Forbidden), network.AnyOf),
	}
	if network.WholePF {
		group.Resources = map[string]int{inventory.ClassPF: count}
	}
	if rate := cmp.Or(network.Settings.MinTxRate, network.Settings.MaxTxRate); rate > 0 {
		group.Resources[inventory.ClassEgress] = 1000 * int(rate) * count // Mbit/s
	}
	device := inventory.TraitNetdev
	if network.Device == config.DeviceVFIO {
		device = inventory.TraitVFIO
	}
	group.Required = append(group.Required, device)
	return group
}

// manifest is what of a pod matters here.
type manifest struct{ networks, grouping, namespace string }

// metadata is the part of a Kubernetes object that is read; whatever else there is, is none of ours.
type metadata struct {
	Namespace   string            `json:"namespace"`
	Annotations map[string]string `json:"annotations"`
}

func readManifest(text []byte, namespace string) (manifest, error) {
	var object struct {
		Kind     string   `json:"kind"`
		Metadata metadata `json:"metadata"`
		Spec     struct {
			Template *struct {
				Metadata metadata `json:"metadata"`
			} `json:"template"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(text, &object); err != nil {
		return manifest{}, err
	}
	of := object.Metadata
	if object.Kind != "Pod" && object.Spec.Template != nil {
		of.Annotations = object.Spec.Template.Metadata.Annotations
	}
	networks, asks := of.Annotations[request.NetworksAnnotation]
	if !asks {
		return manifest{}, errors.New("the manifest has no annotation " + request.NetworksAnnotation + ": such a pod gets no VF")
	}
	return manifest{
		networks: networks, grouping: of.Annotations[request.GroupPolicyAnnotation], namespace: cmp.Or(of.Namespace, namespace),
	}, nil
}
