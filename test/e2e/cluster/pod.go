package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

const (
	// Networks is the annotation that asks for networks.
	Networks = "sriov.nri.io/networks"
	// NetworkStatus is the annotation that tells what a pod has.
	NetworkStatus = "k8s.v1.cni.cncf.io/network-status"
)

// Resource is what a network's VFs are counted as.
func Resource(network string) string { return "sriov.nri.io/" + network }

// Pod is a pod with one container, which sleeps when it has no command.
type Pod struct {
	Name, Namespace string // default namespace "default"
	Node            string // the only node that may have it; default: the scheduler's choice
	Annotations     map[string]string
	// Devices is how many VFs of each network it asks the scheduler for.
	Devices map[string]int
	// Resources are further limits.
	Resources   map[string]string
	Image       string // default lab.Image
	HostNetwork bool
	Container   lab.Container // its user, group, command, mounts and NoCapabilities count
}

// WithVF is a pod that asks the scheduler for a VF of a network, and for an address on it where one is given.
func WithVF(name, node, network, address string) Pod {
	pod := Pod{Name: name, Node: node, Devices: map[string]int{network: 1}}
	if address != "" {
		pod.Annotations = map[string]string{Networks: fmt.Sprintf(`[{network: %s, ips: ["%s/24"]}]`, network, address)}
	}
	return pod
}

// object is a part of a manifest.
type object = map[string]any

// Manifest is the pod as kubectl takes it.
func (p Pod) Manifest() string {
	text, err := json.Marshal(object{"apiVersion": "v1", "kind": "Pod", "metadata": p.metadata(), "spec": p.Spec()})
	if err != nil {
		panic(err) // strings, numbers and maps of them
	}
	return string(text)
}

func (p Pod) metadata() object {
	return object{"name": p.Name, "namespace": cmp.Or(p.Namespace, "default"), "annotations": p.Annotations}
}

// Template is the pod as a part of what makes pods; label is its app.
func (p Pod) Template(label string) map[string]any {
	return object{"metadata": object{"labels": object{"app": label}, "annotations": p.Annotations}, "spec": p.Spec()}
}

// Spec is the pod's spec.
func (p Pod) Spec() map[string]any {
	limits := object{}
	for network, count := range p.Devices {
		limits[Resource(network)] = count
	}
	for name, amount := range p.Resources {
		limits[name] = amount
	}
	container := object{
		"name": cmp.Or(p.Container.Name, "c"), "image": cmp.Or(p.Image, lab.Image), "imagePullPolicy": "IfNotPresent",
		"resources": object{"limits": limits},
	}
	if len(p.Container.Command) > 0 {
		container["command"] = p.Container.Command
	}
	security := object{}
	if p.Container.NoCapabilities {
		security["capabilities"], security["allowPrivilegeEscalation"] = object{"drop": []string{"ALL"}}, false
	}
	if p.Container.RunAsUser != 0 {
		security["runAsUser"], security["runAsGroup"] = p.Container.RunAsUser, p.Container.RunAsGroup
	}
	container["securityContext"] = security
	var mounts, volumes []object
	for i, mount := range p.Container.Mounts {
		name := fmt.Sprintf("mount-%d", i)
		mounts = append(mounts, object{"name": name, "mountPath": mount.ContainerPath, "readOnly": mount.Readonly})
		volumes = append(volumes, object{"name": name, "hostPath": object{"path": mount.HostPath}})
	}
	container["volumeMounts"] = mounts
	spec := object{
		"containers": []object{container}, "volumes": volumes, "hostNetwork": p.HostNetwork,
		// The image's first process ends at once when it is told to.
		"terminationGracePeriodSeconds": 5, "enableServiceLinks": false, "automountServiceAccountToken": false,
	}
	if p.Node != "" {
		spec["nodeSelector"] = object{"kubernetes.io/hostname": p.Node}
	}
	return spec
}

// PodState is what the API server has of a pod.
type PodState struct {
	Metadata struct {
		Name, Namespace, UID string
		Annotations          map[string]string
		DeletionTimestamp    *time.Time
	}
	Spec   struct{ NodeName string }
	Status struct {
		Phase, Reason, Message string
		Conditions             []Condition
		ContainerStatuses      []struct {
			Ready        bool
			ContainerID  string
			RestartCount int
			State        struct {
				Waiting *struct{ Reason, Message string }
			}
		}
	}
}

// Condition is one of a pod's or a node's.
type Condition struct{ Type, Status, Reason, Message string }

// Ready tells whether all of the pod runs.
func (s PodState) Ready() bool {
	for _, condition := range s.Status.Conditions {
		if condition.Type == "Ready" {
			return condition.Status == "True"
		}
	}
	return false
}

// String is the pod's state in one line.
func (s PodState) String() string {
	text := fmt.Sprintf("pod %s on node %q is %s", s.Metadata.Name, s.Spec.NodeName, s.Status.Phase)
	if s.Status.Reason != "" {
		text += fmt.Sprintf(" (%s: %s)", s.Status.Reason, s.Status.Message)
	}
	for _, condition := range s.Status.Conditions {
		if condition.Status != "True" && condition.Message != "" {
			text += fmt.Sprintf("; %s: %s", condition.Type, condition.Message)
		}
	}
	for _, container := range s.Status.ContainerStatuses {
		if waiting := container.State.Waiting; waiting != nil {
			text += fmt.Sprintf("; %s: %s", waiting.Reason, waiting.Message)
		}
	}
	return text
}

// Pod asks for a pod.
func (k *Kubectl) Pod(ctx context.Context, namespace, name string) (PodState, error) {
	var state PodState
	err := k.JSON(ctx, &state, "--namespace", cmp.Or(namespace, "default"), "get", "pod", name)
	return state, err
}

// AwaitPod waits until a pod is as wanted; the error has its last state and the Events about it.
func (k *Kubectl) AwaitPod(ctx context.Context, limit time.Duration, namespace, name string, wanted func(PodState) bool) (PodState, error) {
	var state PodState
	err := lab.Eventually(ctx, limit, func(ctx context.Context) (err error) {
		state, err = k.Pod(ctx, namespace, name)
		if err == nil && !wanted(state) {
			err = errors.New(state.String())
		}
		return err
	})
	if err != nil {
		events, failed := k.Events(context.WithoutCancel(ctx), namespace, name)
		return state, fmt.Errorf("wait for pod %s: %w\n%s", name, errors.Join(err, failed), strings.Join(events.Lines(), "\n"))
	}
	return state, nil
}

// AwaitGone waits until a pod is not there.
func (k *Kubectl) AwaitGone(ctx context.Context, limit time.Duration, namespace, name string) error {
	return lab.Eventually(ctx, limit, func(ctx context.Context) error {
		state, err := k.Pod(ctx, namespace, name)
		if exit := (*ExitError)(nil); errors.As(err, &exit) && strings.Contains(exit.Stderr, "NotFound") {
			return nil
		}
		if err == nil {
			err = errors.New(state.String())
		}
		return err
	})
}

// Exec runs a program in a pod's first container.
func (k *Kubectl) Exec(ctx context.Context, namespace, pod string, argv ...string) (string, error) {
	return k.Do(ctx, append([]string{"--namespace", cmp.Or(namespace, "default"), "exec", pod, "--"}, argv...)...)
}

// Event is one as a person sees it with `kubectl describe`.
type Event struct {
	Type, Reason, Message string
	Count                 int
	InvolvedObject        struct{ Kind, Name, UID string }
	Source                struct{ Component string }
	ReportingComponent    string
}

// Events are those about one object.
type Events []Event

// Events asks for those about a pod.
func (k *Kubectl) Events(ctx context.Context, namespace, pod string) (Events, error) {
	var list struct{ Items []Event }
	err := k.JSON(ctx, &list, "--namespace", cmp.Or(namespace, "default"), "get", "events", "--field-selector", "involvedObject.name="+pod)
	return list.Items, err
}

// Lines are the events as text.
func (e Events) Lines() []string {
	var lines []string
	for _, event := range e {
		lines = append(lines, fmt.Sprintf("%s %s (%s): %s", event.Type, event.Reason, cmp.Or(event.Source.Component, event.ReportingComponent), event.Message))
	}
	return lines
}

// Allocatable is how many of a network's VFs the scheduler may count on a node; 0 when the node does not know the network.
func (k *Kubectl) Allocatable(ctx context.Context, node, network string) (int, error) {
	var state struct {
		Status struct{ Allocatable map[string]string }
	}
	if err := k.JSON(ctx, &state, "get", "node", node); err != nil {
		return 0, err
	}
	amount, known := state.Status.Allocatable[Resource(network)]
	if !known {
		return 0, nil
	}
	var count int
	if _, err := fmt.Sscan(amount, &count); err != nil {
		return 0, fmt.Errorf("read how many %s node %s has: %w", Resource(network), node, err)
	}
	return count, nil
}

// AwaitAllocatable waits until the scheduler may count so many of a network's VFs on a node.
func (k *Kubectl) AwaitAllocatable(ctx context.Context, limit time.Duration, node, network string, wanted int) error {
	err := lab.Eventually(ctx, limit, func(ctx context.Context) error {
		count, err := k.Allocatable(ctx, node, network)
		if err == nil && count != wanted {
			err = fmt.Errorf("%d of %s", count, Resource(network))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for %d of %s on node %s: %w", wanted, Resource(network), node, err)
	}
	return nil
}
