package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/bench/protocol"
)

// plugins is where the CNI plugins lie in the guest.
const plugins = "/opt/cni/bin"

// plugin times the CNI plugin host-device with static addresses, run as a runtime runs it, and iproute2 for the VLAN,
// which host-device cannot set. The namespace is there before.
func plugin(vf function) (round protocol.Round, err error) {
	name := fmt.Sprintf("bench-%d", os.Getpid())
	if err := program("", nil, "ip", "netns", "add", name); err != nil {
		return round, err
	}
	defer func() { err = errors.Join(err, program("", nil, "ip", "netns", "del", name)) }()
	netns := "/run/netns/" + name
	if round.Attach, err = give(vf, netns); err != nil {
		return round, err
	}
	time.Sleep(protocol.Hold)
	round.Detach, err = take(vf, netns)
	return round, err
}

// give is the way in.
func give(vf function, netns string) ([]protocol.Step, error) {
	var in clock
	err := in.step("ip link set vf vlan", func() error { return setVLAN(vf, protocol.VLAN) })
	if err == nil {
		err = in.step("host-device ADD", func() error { return call("ADD", vf, netns) })
	}
	return in.steps, err
}

// take is the way back.
func take(vf function, netns string) ([]protocol.Step, error) {
	var out clock
	err := errors.Join(
		out.step("host-device DEL", func() error { return call("DEL", vf, netns) }),
		out.step("ip link set vf vlan", func() error { return setVLAN(vf, 0) }),
	)
	return out.steps, err
}

func setVLAN(vf function, id int) error {
	return program("", nil, "ip", "link", "set", vf.pf, "vf", fmt.Sprint(vf.id), "vlan", fmt.Sprint(id))
}

func call(command string, vf function, netns string) error {
	config := fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "bench", "type": "host-device", "pciBusID": %q,
		"ipam": {"type": "static", "addresses": [{"address": %q}]}}`, vf.address, protocol.Address)
	return program(config, []string{
		"CNI_COMMAND=" + command, "CNI_CONTAINERID=" + filepath.Base(netns), "CNI_NETNS=" + netns,
		"CNI_IFNAME=" + protocol.Interface, "CNI_PATH=" + plugins,
	}, filepath.Join(plugins, "host-device"))
}

func program(stdin string, env []string, name string, args ...string) error {
	var said bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewBufferString(stdin), &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s %q: %w: %s", name, args, err, said.String())
	}
	return nil
}
