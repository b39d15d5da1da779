package cni

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/containernetworking/cni/pkg/types"
)

// IPAM asks CNI IPAM plugins for addresses. It holds no state: plugins know what they have given by the network's name,
// the container's id and the interface's name. It is safe for concurrent use.
type IPAM struct {
	dirs []string
}

// DefaultPluginDirs are where distributions and installers put CNI plugins.
func DefaultPluginDirs() []string {
	return []string{"/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"}
}

// NewIPAM looks for plugins in dirs, in their order, and nowhere else.
func NewIPAM(dirs []string) *IPAM { return &IPAM{dirs: slices.Clone(dirs)} }

// Lease is what a plugin has given.
type Lease struct {
	// Addresses are at least one and at most 32, all different.
	Addresses []Address `json:"addresses"`
	// Routes have the gateway that the plugin named for them or, where it named none, that of the first address of
	// their family which has one: https://www.cni.dev/docs/spec/#add-success. Without either they are on the link.
	Routes []Route `json:"routes,omitempty"`
	DNS    DNS     `json:"dns,omitzero"`
}

// ErrNoPlugin is what errors.Is finds when there is no such plugin in the directories.
var ErrNoPlugin = errors.New("no such plugin")

// How long a lease may take to be given back after a failed Add, on top of what Add was given.
const undoTime = 2 * time.Second

// Add asks for addresses. A failed Add gives back what the plugin may have given, for which it takes up to two seconds
// after the end of ctx, and whose failure its error tells, too. Where the plugin was not even started there is nothing
// to give back. Plugins know interfaces, not calls: a second Add for one that has a lease is refused by most, and then
// the lease of the first is given back, too.
//
// The IPs of the call are asked for, and the lease has each of them: a plugin that gives others is refused.
func (p *IPAM) Add(ctx context.Context, call Call) (Lease, error) {
	lease, started, err := p.add(ctx, call)
	if err == nil {
		return lease, nil
	}
	if started {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		if _, _, undoErr := p.run(undo, "DEL", call, stdin{}); undoErr != nil {
			err = fmt.Errorf("%w; what it may have given was not given back: %w", err, undoErr)
		}
	}
	return Lease{}, call.wrap(err)
}

func (p *IPAM) add(ctx context.Context, call Call) (lease Lease, started bool, err error) {
	output, started, err := p.run(ctx, "ADD", call, stdin{})
	if err != nil {
		return Lease{}, started, err
	}
	lease, err = parseLease(call.CNIVersion, output)
	if err != nil {
		return Lease{}, true, fmt.Errorf("its answer to ADD: %w", err)
	}
	for _, asked := range call.IPs {
		if !slices.ContainsFunc(lease.Addresses, func(a Address) bool { return a.Prefix.Addr() == asked.Addr() }) {
			return Lease{}, true, fmt.Errorf("it did not give %s, which the pod asks for, but %s", asked.Addr(), lease.addresses())
		}
	}
	return lease, true, nil
}

// Check asks whether the lease still holds. CNI before 0.4.0 has no such question; the answer is nil then.
func (p *IPAM) Check(ctx context.Context, call Call, lease Lease) error {
	if call.CNIVersion == "0.3.1" {
		return nil
	}
	previous, err := Attachment{
		Version: call.CNIVersion, Interfaces: []Interface{{Name: call.Interface, MAC: call.MAC}}, Sandbox: call.NetNS,
		Addresses: lease.Addresses, Routes: lease.Routes, DNS: lease.DNS,
	}.Result()
	if err != nil {
		return call.wrap(err)
	}
	_, _, err = p.run(ctx, "CHECK", call, stdin{PrevResult: previous})
	return call.wrap(err)
}

// Delete gives back what the plugin gave for the call's network, container and interface. It is no error when that is
// nothing, or when the network namespace is gone; call.NetNS may be empty.
func (p *IPAM) Delete(ctx context.Context, call Call) error {
	_, _, err := p.run(ctx, "DEL", call, stdin{})
	return call.wrap(err)
}

// ValidAttachment is a container's interface that still has its addresses.
type ValidAttachment struct {
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifname"`
}

// GC gives back what the plugin holds for the call's network and for none of the valid attachments; a list that lacks a
// living one takes its addresses away. Of the call it needs Network, CNIVersion and Config. It does nothing before CNI
// 1.1.0 and where the plugin does not know it.
func (p *IPAM) GC(ctx context.Context, call Call, valid []ValidAttachment) error {
	if call.CNIVersion != "1.1.0" {
		return nil
	}
	if valid == nil {
		valid = []ValidAttachment{} // null would be no list
	}
	_, _, err := p.run(ctx, "GC", call, stdin{Valid: &valid})
	var said *refusal
	if errors.As(err, &said) && (said.Code == types.ErrIncompatibleCNIVersion || said.Code == types.ErrInvalidEnvironmentVariables) {
		return nil // so answer plugins of earlier versions: theirs is too low, or the command is none
	}
	return call.wrap(err)
}

// run makes one call; started tells whether the plugin may have done something.
func (p *IPAM) run(ctx context.Context, command string, call Call, more stdin) (output []byte, started bool, err error) {
	name, err := call.check(command)
	if err != nil {
		return nil, false, err
	}
	path, err := p.Find(name)
	if err != nil {
		return nil, false, err
	}
	input, err := json.Marshal(call.stdin(more))
	if err != nil {
		return nil, false, fmt.Errorf("write the network's configuration: %w", err)
	}
	result, err := execute(ctx, path, call.environment(command, p.dirs), input)
	if err != nil {
		return nil, result.started, fmt.Errorf("%s %w", command, err)
	}
	if err := result.refusal(); err != nil {
		return nil, true, fmt.Errorf("%s %w", command, err)
	}
	return result.stdout, true, nil
}

func (l Lease) addresses() []netip.Prefix {
	var all []netip.Prefix
	for _, one := range l.Addresses {
		all = append(all, one.Prefix)
	}
	return all
}
