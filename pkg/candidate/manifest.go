package candidate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/nri-sriov/nri-sriov/pkg/request"
)

// Manifest is what of a pod's manifest matters to its VFs. Whatever else there is in it, is none of ours.
type Manifest struct {
	Namespace string
	// Asks tells whether the pod has the annotation; the two texts are what it says.
	Asks               bool
	Networks, Grouping string
	Spec               Spec
}

// Spec is the part of a pod's spec that is read.
type Spec struct {
	HostNetwork bool `json:"hostNetwork"`
	// HostUsers is nil when the manifest does not say; then the pod has the host's.
	HostUsers        *bool       `json:"hostUsers"`
	RuntimeClassName string      `json:"runtimeClassName"`
	Containers       []Container `json:"containers"`
	InitContainers   []Container `json:"initContainers"`
}

// Container is one of a pod's.
type Container struct {
	Name string `json:"name"`
	// RestartPolicy of an init container that is Always makes it a sidecar.
	RestartPolicy string `json:"restartPolicy"`
	Resources     struct {
		Limits map[string]any `json:"limits"`
	} `json:"resources"`
}

type metadata struct {
	Namespace   string            `json:"namespace"`
	Annotations map[string]string `json:"annotations"`
}

// template is a pod in what makes pods, as deep as it may lie.
type template struct {
	Metadata metadata `json:"metadata"`
	Spec     Spec     `json:"spec"`
}

// documentStart is the line between YAML documents.
var documentStart = regexp.MustCompile(`(?m)^---([ \t].*)?\r?$`)

// isBlank tells a document without content.
func isBlank(document string) bool {
	for line := range strings.Lines(document) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return false
		}
	}
	return true
}

// ReadManifest reads a manifest of a pod, or of what makes pods (a Deployment, StatefulSet, DaemonSet, Job, CronJob and such),
// in YAML or JSON. A manifest without namespace is of the given one.
func ReadManifest(text []byte, namespace string) (Manifest, error) {
	if len(text) > MaxFile {
		return Manifest{}, fmt.Errorf("the manifest has %d bytes, more than the %d that are read", len(text), MaxFile)
	}
	if documents := documentStart.Split(string(text), -1); len(slices.DeleteFunc(documents, isBlank)) > 1 {
		return Manifest{}, errors.New("there are several documents in it: give the one with the pod alone")
	}
	var object struct {
		Kind     string   `json:"kind"`
		Metadata metadata `json:"metadata"`
		Spec     struct {
			Spec
			Template    *template `json:"template"`
			JobTemplate *struct {
				Spec struct {
					Template *template `json:"template"`
				} `json:"spec"`
			} `json:"jobTemplate"`
		} `json:"spec"`
	}
	if err := decode(text, &object); err != nil {
		return Manifest{}, err
	}
	pod := &template{object.Metadata, object.Spec.Spec}
	switch job := object.Spec.JobTemplate; {
	case object.Kind == "Pod":
	case object.Spec.Template != nil:
		pod = object.Spec.Template
	case job != nil && job.Spec.Template != nil:
		pod = job.Spec.Template
	}
	networks, asks := pod.Metadata.Annotations[request.NetworksAnnotation]
	return Manifest{
		Namespace: cmp.Or(object.Metadata.Namespace, namespace),
		Asks:      asks, Networks: networks, Grouping: pod.Metadata.Annotations[request.GroupPolicyAnnotation], Spec: pod.Spec,
	}, nil
}

// decode reads YAML or JSON, and says in words what has the wrong type.
func decode(text []byte, object any) error {
	data, err := yaml.YAMLToJSON(text)
	if err == nil {
		err = json.Unmarshal(data, object)
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s is a %s, which does not belong there", cmp.Or(wrong.Field, "all of it"), wrong.Value)
	}
	return err
}
