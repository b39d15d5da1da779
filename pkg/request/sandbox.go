package request

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/config"
)

// Sandbox is what of a pod's sandbox decides whether a device can reach its containers.
type Sandbox struct {
	// Handler is the runtime handler, such as runc or kata-qemu; empty is the runtime's default.
	Handler string
	// HostNetwork and UserNamespace tell whose namespaces the pod has: the host's network, users of its own.
	HostNetwork, UserNamespace bool
}

// Fit refuses sandboxes that the network's device does not reach.
func (s Sandbox) Fit(network *config.Network) error {
	if network.Device == config.DeviceVFIO {
		return s.fitForVFIO()
	}
	return s.fitForNetdev()
}

// fitForNetdev refuses sandboxes that cannot see an interface which is moved into their namespace.
func (s Sandbox) fitForNetdev() error {
	switch {
	case s.isGVisor():
		return fmt.Errorf("runtime handler %q (gVisor) copies the pod's interfaces when it starts and sees none that comes later: use a handler of runc", s.Handler)
	case s.isKata():
		return fmt.Errorf("runtime handler %q (Kata) scans the pod's interfaces before this plugin is asked: use a handler of runc", s.Handler)
	case s.HostNetwork:
		return errors.New("a host-network pod has no network namespace to move an interface into: set hostNetwork: false")
	}
	return nil
}

// ErrUserNamespace is the refusal of device nodes in a user namespace: the OCI runtime binds the host's nodes then, with the
// host's owner and mode, which is 0600 of root.
var ErrUserNamespace = errors.New("in a user namespace (hostUsers: false) nobody can open the device nodes of vfio, " +
	"which belong to the host's root: set hostUsers: true")

// fitForVFIO refuses sandboxes whose containers cannot open a device node of the host.
func (s Sandbox) fitForVFIO() error {
	switch {
	case s.isGVisor():
		return fmt.Errorf("runtime handler %q (gVisor) has a kernel of its own, which knows no vfio devices: use a handler of runc", s.Handler)
	case s.isKata():
		return fmt.Errorf("runtime handler %q (Kata) runs containers in a virtual machine, which device nodes of the host do not reach: use a handler of runc", s.Handler)
	case s.UserNamespace:
		return ErrUserNamespace
	}
	return nil
}

func (s Sandbox) isGVisor() bool {
	handler := strings.ToLower(s.Handler)
	return strings.Contains(handler, "gvisor") || strings.Contains(handler, "runsc")
}

func (s Sandbox) isKata() bool { return strings.Contains(strings.ToLower(s.Handler), "kata") }
