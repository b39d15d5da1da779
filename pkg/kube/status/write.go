package status

import (
	"context"
	"errors"
	"fmt"

	"github.com/nri-sriov/nri-sriov/pkg/kube/api"
	"github.com/nri-sriov/nri-sriov/pkg/kube/queue"
)

// mirrorAnnotation is on the object that shows a static pod in the API; the kubelet and the runtime know the pod by its
// value, not by the object's UID.
const mirrorAnnotation = "kubernetes.io/config.mirror"

// ErrMalformed says that the annotation is not what it ought to be, and that it was left alone.
var ErrMalformed = errors.New("malformed annotation")

// Pod names a pod as the runtime knows it.
type Pod struct{ Namespace, Name, UID string }

// Static tells whether the pod comes from a file of the kubelet's: its UID is then a hash. Its object comes later than the
// pod itself.
func (p Pod) Static() bool { return len(p.UID) == 32 }

// object is the part of a pod that is looked at.
type object struct {
	Metadata struct {
		UID             string            `json:"uid"`
		ResourceVersion string            `json:"resourceVersion"`
		Annotations     map[string]string `json:"annotations"`
	} `json:"metadata"`
}

// Write makes the pod's annotation show these entries, and those of others as they are. A pod that is gone, or whose name
// another one has now, is api.Missing. The change is made only to what was read, through the status, as Multus does: the right
// to that changes no pod's spec. ErrMalformed has changed nothing.
func Write(ctx context.Context, client *api.Client, pod Pod, entries []Entry) error {
	var read object
	path := api.Path("namespaces", pod.Namespace, "pods", pod.Name)
	err := client.Read(ctx, path, &read)
	if pod.Static() && api.Code(err) == 404 && len(entries) > 0 {
		return fmt.Errorf("the mirror pod of %s/%s: %w", pod.Namespace, pod.Name, queue.ErrNotYet)
	}
	if err != nil {
		return err
	}
	if read.Metadata.UID != pod.UID && read.Metadata.Annotations[mirrorAnnotation] != pod.UID {
		return &api.Refusal{Code: 410, Message: "pod " + pod.Namespace + "/" + pod.Name + " is another one now"}
	}
	before, there := read.Metadata.Annotations[Annotation]
	after, err := Merge(before, entries)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if after == before || there && Same(before, after) {
		return nil
	}
	var value any = after
	if after == "" {
		value = nil // a merge patch takes the key away
	}
	return client.Patch(ctx, path+"/status", map[string]any{"metadata": map[string]any{
		"resourceVersion": read.Metadata.ResourceVersion,
		"annotations":     map[string]any{Annotation: value},
	}})
}
