package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// callLimit bounds every call of CRI: in a guest a sandbox takes 1 to 3 s, and
// many times that when the machine is busy.
const callLimit = 5 * time.Minute

// CRI talks to a runtime as the kubelet does.
type CRI struct {
	conn    *grpc.ClientConn
	runtime cri.RuntimeServiceClient
	images  cri.ImageServiceClient

	mu      sync.Mutex
	configs map[string]*cri.PodSandboxConfig // of the sandboxes made here
}

// NewCRI is a client of the runtime that serves CRI on a socket in a guest. It
// connects when it is first used, and again whenever the runtime is new.
func NewCRI(g *Guest, socket string) (*CRI, error) {
	conn, err := grpc.NewClient("passthrough:///"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return g.Dial(ctx, address) }),
	)
	if err != nil {
		return nil, fmt.Errorf("make a CRI client of %s: %w", socket, err)
	}
	return &CRI{
		conn: conn, runtime: cri.NewRuntimeServiceClient(conn), images: cri.NewImageServiceClient(conn),
		configs: map[string]*cri.PodSandboxConfig{},
	}, nil
}

// Close ends the connection.
func (c *CRI) Close() error { return c.conn.Close() }

// Runtime is the generated client, for what CRI has no method for.
func (c *CRI) Runtime() cri.RuntimeServiceClient { return c.runtime }

// Pod is what a sandbox is made from.
type Pod struct {
	Name, Namespace, UID string // default namespace "default", UID the name
	Attempt              uint32
	Annotations, Labels  map[string]string
	HostNetwork          bool
	RuntimeHandler       string
}

func (p Pod) config() *cri.PodSandboxConfig {
	if p.Namespace == "" {
		p.Namespace = "default"
	}
	if p.UID == "" {
		p.UID = p.Name
	}
	labels := map[string]string{
		"io.kubernetes.pod.name": p.Name, "io.kubernetes.pod.namespace": p.Namespace, "io.kubernetes.pod.uid": p.UID,
	}
	for key, value := range p.Labels {
		labels[key] = value
	}
	network, hostname := cri.NamespaceMode_POD, p.Name
	if p.HostNetwork { // the host's name goes with its network
		network, hostname = cri.NamespaceMode_NODE, ""
	}
	return &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: p.Name, Namespace: p.Namespace, Uid: p.UID, Attempt: p.Attempt},
		Hostname:     hostname,
		LogDirectory: fmt.Sprintf("/var/log/pods/%s_%s_%s", p.Namespace, p.Name, p.UID),
		Annotations:  p.Annotations,
		Labels:       labels,
		Linux: &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{
			NamespaceOptions: &cri.NamespaceOption{Network: network},
		}},
	}
}

// RunPod makes and starts a sandbox, and returns its id.
func (c *CRI) RunPod(ctx context.Context, pod Pod) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	config := pod.config()
	response, err := c.runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config, RuntimeHandler: pod.RuntimeHandler})
	if err != nil {
		return "", fmt.Errorf("run pod %s/%s: %w", config.Metadata.Namespace, pod.Name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.configs[response.PodSandboxId] = config
	return response.PodSandboxId, nil
}

// StopPod stops a sandbox with all that runs in it.
func (c *CRI) StopPod(ctx context.Context, sandbox string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if _, err := c.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: sandbox}); err != nil {
		return fmt.Errorf("stop sandbox %s: %w", sandbox, err)
	}
	return nil
}

// RemovePod removes a sandbox.
func (c *CRI) RemovePod(ctx context.Context, sandbox string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if _, err := c.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: sandbox}); err != nil {
		return fmt.Errorf("remove sandbox %s: %w", sandbox, err)
	}
	return nil
}

// PodStatus is what the runtime says of a sandbox.
type PodStatus struct {
	Ready bool
	IP    string // of the first interface
	NetNS string // the path of its network namespace, "" when it has none (any more)
	PID   int    // of its first process, 0 when it has none (any more)
}

// PodStatus asks for a sandbox's state.
func (c *CRI) PodStatus(ctx context.Context, sandbox string) (PodStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	response, err := c.runtime.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: sandbox, Verbose: true})
	if err != nil {
		return PodStatus{}, fmt.Errorf("ask for sandbox %s: %w", sandbox, err)
	}
	status := PodStatus{Ready: response.Status.GetState() == cri.PodSandboxState_SANDBOX_READY, IP: response.Status.GetNetwork().GetIp()}
	if err := status.readVerbose(response.Info["info"]); err != nil {
		return PodStatus{}, fmt.Errorf("ask for sandbox %s: %w", sandbox, err)
	}
	return status, nil
}

// readVerbose reads containerd's own part of the answer.
func (s *PodStatus) readVerbose(text string) error {
	if text == "" {
		return nil
	}
	var info struct {
		PID         int  `json:"pid"`
		Closed      bool `json:"netNamespaceClosed"`
		RuntimeSpec *struct {
			Linux struct {
				Namespaces []struct{ Type, Path string }
			}
		} `json:"runtimeSpec"`
	}
	if err := json.Unmarshal([]byte(text), &info); err != nil {
		return fmt.Errorf("read its verbose information: %w", err)
	}
	s.PID = info.PID
	if info.RuntimeSpec == nil || info.Closed {
		return nil
	}
	for _, namespace := range info.RuntimeSpec.Linux.Namespaces {
		if namespace.Type == "network" {
			s.NetNS = namespace.Path
		}
	}
	return nil
}

// ListPods lists every sandbox, stopped ones too.
func (c *CRI) ListPods(ctx context.Context) ([]*cri.PodSandbox, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	response, err := c.runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return nil, fmt.Errorf("list the sandboxes: %w", err)
	}
	return response.Items, nil
}

// await waits until the runtime serves and its network is ready; process is
// the runtime's, whose end ends the waiting.
func (c *CRI) await(ctx context.Context, limit time.Duration, process *Process) error {
	return poll(ctx, limit, func(ctx context.Context) error {
		if running, err := process.Running(ctx); err == nil && !running {
			log, err := process.guest.ReadFile(ctx, process.Log())
			return final{errors.Join(fmt.Errorf("it ended; it said last:\n%s", tail(string(log), 15)), err)}
		}
		// A connection that once failed is not tried again for seconds.
		c.conn.ResetConnectBackoff()
		response, err := c.runtime.Status(ctx, &cri.StatusRequest{})
		if err != nil {
			return fmt.Errorf("ask for its state: %w", err)
		}
		for _, condition := range response.Status.GetConditions() {
			if !condition.Status && !strings.Contains(condition.Type, "Deprecat") {
				return fmt.Errorf("%s is not there: %s: %s", condition.Type, condition.Reason, condition.Message)
			}
		}
		return nil
	})
}

func (c *CRI) awaitImage(ctx context.Context, name string, limit time.Duration) error {
	return poll(ctx, limit, func(ctx context.Context) error {
		response, err := c.images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
		if err == nil && response.Image == nil {
			err = fmt.Errorf("CRI has no image %s", name)
		}
		return err
	})
}
