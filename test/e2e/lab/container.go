package lab

import (
	"context"
	"fmt"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Container is what a container is made from; its image is Image.
type Container struct {
	Name       string
	Command    []string // default: the image's own, which sleeps
	Env        map[string]string
	Privileged bool
	// RunAsUser and RunAsGroup are those of its first process; 0 is root's.
	RunAsUser, RunAsGroup int64
	Groups                []int64 // supplemental ones
	// NoCapabilities drops all of them for good: no program in it can gain one.
	NoCapabilities bool
	Devices        []*cri.Device
	Mounts         []*cri.Mount
	// CPUShares is its part of a busy CPU, where others have 1024.
	CPUShares int64
	Attempt   uint32
}

// UserlandMounts give a container the guest's own programs, read-only, for those that its image lacks. The image's are in
// /bin and stay; a program of the guest's is called by its path below /usr.
func UserlandMounts() []*cri.Mount {
	mount := func(host, container string) *cri.Mount {
		return &cri.Mount{HostPath: host, ContainerPath: container, Readonly: true}
	}
	// The links that make /lib and /lib64 parts of /usr are the guest's and not the image's.
	return []*cri.Mount{mount("/usr", "/usr"), mount("/usr/lib", "/lib"), mount("/usr/lib64", "/lib64")}
}

func (c Container) security(namespaces *cri.NamespaceOption) *cri.LinuxContainerSecurityContext {
	security := &cri.LinuxContainerSecurityContext{
		NamespaceOptions: namespaces, Privileged: c.Privileged, SupplementalGroups: c.Groups, NoNewPrivs: c.NoCapabilities,
	}
	if c.RunAsUser != 0 || c.RunAsGroup != 0 { // CRI refuses a group without a user
		security.RunAsUser, security.RunAsGroup = &cri.Int64Value{Value: c.RunAsUser}, &cri.Int64Value{Value: c.RunAsGroup}
	}
	if c.NoCapabilities {
		security.Capabilities = &cri.Capability{DropCapabilities: []string{"ALL"}}
	}
	return security
}

// CreateContainer makes a container in a sandbox that this client made.
func (c *CRI) CreateContainer(ctx context.Context, sandbox string, container Container) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	c.mu.Lock()
	pod := c.configs[sandbox]
	c.mu.Unlock()
	if pod == nil {
		return "", fmt.Errorf("create container %s: sandbox %q was not made by this client", container.Name, sandbox)
	}
	config := &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: container.Name, Attempt: container.Attempt},
		Image:    &cri.ImageSpec{Image: Image},
		Command:  container.Command,
		LogPath:  container.Name + ".log",
		Labels: map[string]string{
			"io.kubernetes.container.name": container.Name,
			"io.kubernetes.pod.name":       pod.Metadata.Name,
			"io.kubernetes.pod.namespace":  pod.Metadata.Namespace,
			"io.kubernetes.pod.uid":        pod.Metadata.Uid,
		},
		Devices: container.Devices,
		Mounts:  container.Mounts,
		Linux: &cri.LinuxContainerConfig{
			SecurityContext: container.security(pod.Linux.SecurityContext.NamespaceOptions),
			Resources:       &cri.LinuxContainerResources{CpuShares: container.CPUShares},
		},
	}
	for key, value := range container.Env {
		config.Envs = append(config.Envs, &cri.KeyValue{Key: key, Value: []byte(value)})
	}
	response, err := c.runtime.CreateContainer(ctx, &cri.CreateContainerRequest{PodSandboxId: sandbox, Config: config, SandboxConfig: pod})
	if err != nil {
		return "", fmt.Errorf("create container %s in sandbox %s: %w", container.Name, sandbox, err)
	}
	return response.ContainerId, nil
}

// StartContainer starts a container.
func (c *CRI) StartContainer(ctx context.Context, container string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if _, err := c.runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: container}); err != nil {
		return fmt.Errorf("start container %s: %w", container, err)
	}
	return nil
}

// StartIn makes and starts a container in a sandbox, and returns its id.
// Without a command it sleeps.
func (c *CRI) StartIn(ctx context.Context, sandbox, name string, command ...string) (string, error) {
	return c.Launch(ctx, sandbox, Container{Name: name, Command: command})
}

// Launch makes and starts a container in a sandbox, and returns its id.
func (c *CRI) Launch(ctx context.Context, sandbox string, container Container) (string, error) {
	id, err := c.CreateContainer(ctx, sandbox, container)
	if err != nil {
		return "", err
	}
	return id, c.StartContainer(ctx, id)
}

// StopContainer kills a container and waits for its end.
func (c *CRI) StopContainer(ctx context.Context, container string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if _, err := c.runtime.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: container, Timeout: 0}); err != nil {
		return fmt.Errorf("stop container %s: %w", container, err)
	}
	return nil
}

// RemoveContainer removes a container.
func (c *CRI) RemoveContainer(ctx context.Context, container string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if _, err := c.runtime.RemoveContainer(ctx, &cri.RemoveContainerRequest{ContainerId: container}); err != nil {
		return fmt.Errorf("remove container %s: %w", container, err)
	}
	return nil
}

// Exec runs a program in a container to its end. Another exit code than 0 is
// an *ExitError; the Output is valid then too.
func (c *CRI) Exec(ctx context.Context, container string, argv ...string) (Output, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	response, err := c.runtime.ExecSync(ctx, &cri.ExecSyncRequest{ContainerId: container, Cmd: argv, Timeout: int64(callLimit.Seconds())})
	if err != nil {
		return Output{}, fmt.Errorf("run %q in container %s: %w", argv, container, err)
	}
	output := Output{Stdout: string(response.Stdout), Stderr: string(response.Stderr), Code: int(response.ExitCode)}
	if output.Code != 0 {
		return output, &ExitError{Argv: argv, Output: output}
	}
	return output, nil
}
