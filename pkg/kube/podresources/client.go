package podresources

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"k8s.io/kubelet/pkg/apis/podresources/v1"
)

// ErrNoPod says that the kubelet knows no pod of that name.
var ErrNoPod = errors.New("the kubelet knows no such pod")

// ErrTwoPods says that the kubelet tells of two pods of one name: one has ended, and the answer does not say which.
var ErrTwoPods = errors.New("the kubelet tells of two pods of this name, one of which has ended")

// Device is one device that the kubelet gave to a container.
type Device struct {
	Container, Resource, ID string
}

// Pod is a pod with its devices, sorted by resource, id and container. A device that several containers share is there
// once for each.
type Pod struct {
	Namespace, Name string
	Devices         []Device
}

const (
	// maxAnswer is what other clients of the API allow: a node with many pods and CPUs has long answers.
	maxAnswer = 16 << 20
	// callTime bounds one question, atOnce how many are asked at a time.
	callTime = 5 * time.Second
	atOnce   = 4
	// noGetFor is how long the kubelet is not asked for a single pod after it has shown that it does not answer that.
	noGetFor = time.Minute
)

// Client asks one kubelet. Its connection is made when it is needed, and again when the kubelet is back.
type Client struct {
	connection *grpc.ClientConn
	lister     v1.PodResourcesListerClient
	turns      chan struct{}
	// noGetSince is when the kubelet was seen to know a pod of which it did not tell when it was asked for it alone.
	noGetSince atomic.Pointer[time.Time]
}

// Socket is the path of the API's socket below the kubelet's root folder.
func Socket(kubeletDir string) string {
	return filepath.Join(kubeletDir, "pod-resources", "kubelet.sock")
}

// New makes a client of the socket; the error says that its path makes no address.
func New(socket string) (*Client, error) {
	again := backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}
	connection, err := grpc.NewClient("unix:"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: callTime}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)))
	if err != nil {
		return nil, fmt.Errorf("connect to the kubelet's socket %s: %w", socket, err)
	}
	return &Client{connection: connection, lister: v1.NewPodResourcesListerClient(connection), turns: make(chan struct{}, atOnce)}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.connection.Close() }

// List tells of all pods.
func (c *Client) List(ctx context.Context) ([]Pod, error) {
	var answer *v1.ListPodResourcesResponse
	err := c.call(ctx, func(ctx context.Context) (err error) {
		answer, err = c.lister.List(ctx, &v1.ListPodResourcesRequest{})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask the kubelet for the devices of its pods: %w", err)
	}
	var pods []Pod
	for _, one := range answer.GetPodResources() {
		pods = append(pods, podOf(one))
	}
	return pods, nil
}

// Pod tells of one pod. ErrNoPod is an answer; so is ErrTwoPods, for a while.
func (c *Client) Pod(ctx context.Context, namespace, name string) (Pod, error) {
	if since := c.noGetSince.Load(); since == nil || time.Since(*since) >= noGetFor {
		pod, err := c.pod(ctx, namespace, name)
		switch code := status.Code(err); {
		case err == nil:
			return pod, nil
		case code != codes.Unknown && code != codes.Unimplemented && code != codes.NotFound:
			return Pod{}, fmt.Errorf("ask the kubelet for the devices of pod %s/%s: %w", namespace, name, err)
		}
		// Older kubelets have no Get, or have it turned off; an unknown pod is the same kind of error.
	}
	pods, err := c.List(ctx)
	if err != nil {
		return Pod{}, err
	}
	pods = slices.DeleteFunc(pods, func(one Pod) bool { return one.Namespace != namespace || one.Name != name })
	switch len(pods) {
	case 0:
		return Pod{}, ErrNoPod
	case 1:
		now := time.Now()
		c.noGetSince.Store(&now)
		return pods[0], nil
	}
	return Pod{}, ErrTwoPods
}

func (c *Client) pod(ctx context.Context, namespace, name string) (Pod, error) {
	var answer *v1.GetPodResourcesResponse
	err := c.call(ctx, func(ctx context.Context) (err error) {
		answer, err = c.lister.Get(ctx, &v1.GetPodResourcesRequest{PodNamespace: namespace, PodName: name})
		return err
	})
	if err != nil {
		return Pod{}, err
	}
	return podOf(answer.GetPodResources()), nil
}

// call asks one question, when it is its turn.
func (c *Client) call(ctx context.Context, ask func(context.Context) error) error {
	select {
	case c.turns <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.turns }()
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return ask(ctx)
}

func podOf(one *v1.PodResources) Pod {
	pod := Pod{Namespace: one.GetNamespace(), Name: one.GetName()}
	for _, container := range one.GetContainers() {
		for _, devices := range container.GetDevices() {
			for _, id := range devices.GetDeviceIds() {
				pod.Devices = append(pod.Devices, Device{Container: container.GetName(), Resource: devices.GetResourceName(), ID: id})
			}
		}
	}
	// The kubelet's order is that of a map.
	slices.SortFunc(pod.Devices, func(a, b Device) int {
		return strings.Compare(a.Resource+"\x00"+a.ID+"\x00"+a.Container, b.Resource+"\x00"+b.ID+"\x00"+b.Container)
	})
	pod.Devices = slices.Compact(pod.Devices)
	return pod
}
