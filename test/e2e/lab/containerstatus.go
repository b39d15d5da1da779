package lab

import (
	"context"
	"encoding/json"
	"fmt"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ContainerStatus is what the runtime says of a container.
type ContainerStatus struct {
	Running bool
	Code    int    // exit code; 128 and the signal's number when killed
	PID     int    // of its first process in the guest, 0 when it has none (any more)
	Log     string // the file in the guest with what it prints, in CRI's format
}

// ContainerStatus asks for a container's state.
func (c *CRI) ContainerStatus(ctx context.Context, container string) (ContainerStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	response, err := c.runtime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: container, Verbose: true})
	if err != nil {
		return ContainerStatus{}, fmt.Errorf("ask for container %s: %w", container, err)
	}
	status := ContainerStatus{
		Running: response.Status.GetState() == cri.ContainerState_CONTAINER_RUNNING,
		Code:    int(response.Status.GetExitCode()),
		Log:     response.Status.GetLogPath(),
	}
	var info struct {
		PID int `json:"pid"`
	}
	if text := response.Info["info"]; text != "" && status.Running {
		if err := json.Unmarshal([]byte(text), &info); err != nil {
			return ContainerStatus{}, fmt.Errorf("ask for container %s: read its verbose information: %w", container, err)
		}
	}
	status.PID = info.PID
	return status, nil
}
