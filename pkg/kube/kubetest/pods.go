package kubetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	plugin "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
	resources "k8s.io/kubelet/pkg/apis/podresources/v1"
)

// ErrNone says that a resource has not enough healthy devices that nobody has.
var ErrNone = errors.New("not enough devices")

// Admit gives a container of a pod so many devices of a resource, and answers with their ids and with the container's
// annotations. It asks the plugin which ones, and tells it.
func (k *Kubelet) Admit(pod, container, name string, count int) (ids []string, annotations map[string]string, err error) {
	k.mutex.Lock()
	one := k.resources[name]
	if one == nil {
		k.mutex.Unlock()
		return nil, nil, fmt.Errorf("%s: %w", name, ErrNone)
	}
	used := k.used(name)
	var available []string
	for id, device := range one.devices {
		if device.GetHealth() == plugin.Healthy && !slices.Contains(used, id) {
			available = append(available, id)
		}
	}
	k.mutex.Unlock()
	if len(available) < count {
		return nil, nil, fmt.Errorf("%s: %d of %d: %w", name, len(available), count, ErrNone)
	}
	answer, err := one.client.GetPreferredAllocation(context.Background(), &plugin.PreferredAllocationRequest{
		ContainerRequests: []*plugin.ContainerPreferredAllocationRequest{{AvailableDeviceIDs: available, AllocationSize: int32(count)}},
	})
	if err != nil {
		return nil, nil, err
	}
	for _, id := range answer.GetContainerResponses()[0].GetDeviceIDs() {
		if slices.Contains(available, id) && len(ids) < count {
			ids = append(ids, id)
		}
	}
	for _, id := range available { // as the kubelet, when it is told too few
		if len(ids) < count && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	annotations, err = k.Allocate(pod, container, name, ids)
	return ids, annotations, err
}

// Allocate gives a container these very devices.
func (k *Kubelet) Allocate(pod, container, name string, ids []string) (map[string]string, error) {
	k.mutex.Lock()
	one := k.resources[name]
	k.mutex.Unlock()
	answer, err := one.client.Allocate(context.Background(), &plugin.AllocateRequest{
		ContainerRequests: []*plugin.ContainerAllocateRequest{{DevicesIds: ids}},
	})
	if err != nil {
		return nil, err
	}
	k.Give(pod, container, name, ids...)
	return answer.GetContainerResponses()[0].GetAnnotations(), nil
}

// Give notes that a container has devices, of whatever plugin; without a resource, that there is a pod.
func (k *Kubelet) Give(pod, container, name string, ids ...string) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.pods[pod] == nil {
		k.pods[pod] = map[string]map[string][]string{}
		k.order = append(k.order, pod)
	}
	if k.pods[pod][container] == nil {
		k.pods[pod][container] = map[string][]string{}
	}
	if name != "" {
		k.pods[pod][container][name] = append(k.pods[pod][container][name], ids...)
	}
}

// End forgets a pod.
func (k *Kubelet) End(pod string) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	delete(k.pods, pod)
	k.order = slices.DeleteFunc(k.order, func(one string) bool { return one == pod })
}

func (k *Kubelet) used(name string) []string {
	var used []string
	for _, pod := range k.pods {
		for _, container := range pod {
			used = append(used, container[name]...)
		}
	}
	return used
}

// NoGet has Get refused, as older kubelets do.
func (k *Kubelet) NoGet(refused bool) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.noGet = refused
}

// Twice lists a pod a second time, without devices of its own, as older kubelets do with ended pods.
func (k *Kubelet) Twice(pod string, is bool) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.twice[pod] = is
}

// Hold leaves questions about pods without answer until release is called.
func (k *Kubelet) Hold() (release func()) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	hold := make(chan struct{})
	k.hold = hold
	return func() {
		k.mutex.Lock()
		defer k.mutex.Unlock()
		if k.hold == hold {
			close(hold)
			k.hold = nil
		}
	}
}

// Asked counts questions: "Get", "List".
func (k *Kubelet) Asked(what string) int {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	return k.asked[what]
}

// lister tells what pods have.
type lister struct {
	resources.UnimplementedPodResourcesListerServer
	kubelet *Kubelet
}

func (l *lister) wait(ctx context.Context, what string) error {
	l.kubelet.mutex.Lock()
	l.kubelet.asked[what]++
	hold := l.kubelet.hold
	l.kubelet.mutex.Unlock()
	if hold == nil {
		return nil
	}
	select {
	case <-hold:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *lister) List(ctx context.Context, _ *resources.ListPodResourcesRequest) (*resources.ListPodResourcesResponse, error) {
	if err := l.wait(ctx, "List"); err != nil {
		return nil, err
	}
	k := l.kubelet
	k.mutex.Lock()
	defer k.mutex.Unlock()
	answer := &resources.ListPodResourcesResponse{}
	for _, pod := range k.order {
		answer.PodResources = append(answer.PodResources, k.pod(pod))
		if k.twice[pod] {
			answer.PodResources = append(answer.PodResources, &resources.PodResources{Namespace: k.pod(pod).GetNamespace(), Name: k.pod(pod).GetName()})
		}
	}
	return answer, nil
}

func (l *lister) Get(ctx context.Context, request *resources.GetPodResourcesRequest) (*resources.GetPodResourcesResponse, error) {
	if err := l.wait(ctx, "Get"); err != nil {
		return nil, err
	}
	k := l.kubelet
	k.mutex.Lock()
	defer k.mutex.Unlock()
	name := request.GetPodNamespace() + "/" + request.GetPodName()
	switch {
	case k.noGet:
		return nil, status.Error(codes.Unknown, "PodResources API Get method disabled")
	case k.pods[name] == nil:
		return nil, fmt.Errorf("pod %s in namespace %s not found", request.GetPodName(), request.GetPodNamespace())
	}
	return &resources.GetPodResourcesResponse{PodResources: k.pod(name)}, nil
}

// pod is one pod; devices come in no order, as those of a map.
func (k *Kubelet) pod(name string) *resources.PodResources {
	answer := &resources.PodResources{}
	for i, r := range name {
		if r == '/' {
			answer.Namespace, answer.Name = name[:i], name[i+1:]
		}
	}
	for container, given := range k.pods[name] {
		one := &resources.ContainerResources{Name: container}
		for resource, ids := range given {
			shuffled := slices.Clone(ids)
			slices.Reverse(shuffled)
			one.Devices = append(one.Devices, &resources.ContainerDevices{ResourceName: resource, DeviceIds: shuffled})
		}
		answer.Containers = append(answer.Containers, one)
	}
	return answer
}

// Pods are those that have something, sorted.
func (k *Kubelet) Pods() []string {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	return slices.Sorted(maps.Keys(k.pods))
}
