package vf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Interface is the state of one netdev in one network namespace.
type Interface struct {
	Index int
	Name  string
	// AltNames are its alternative names, which travel with it.
	AltNames []string
	MAC      MAC
	// Alias is a free text on the interface, which travels with it too.
	Alias string
	// MTU is in bytes.
	MTU int
	// Up is the administrative state.
	Up bool
	// Running tells that it has a carrier.
	Running bool
	// Promiscuous and AllMulticast are what was asked of the interface itself.
	Promiscuous, AllMulticast bool
	// Master is the index of the bridge or bond it is a port of, 0 when it is none.
	Master int
	// Lower is the index of the interface of this namespace that it stands upon, such as a VLAN does; 0 is none.
	Lower int
	// Promiscuity counts who wants every frame: programs, and what stands upon it.
	Promiscuity int
	// XDP tells that a program is attached that sees each frame first.
	XDP bool
	// Parent is the PCI address of the function; zero for a virtual device, and on kernels before 5.14, which do not
	// tell.
	Parent PCIAddress
}

// ErrNoInterface says that a netdev is not where it was looked for.
var ErrNoInterface = errors.New("no such interface")

// ErrNameTaken says that the wanted interface name is in use in that namespace.
var ErrNameTaken = errors.New("interface name is taken")

// Interface finds a netdev of the namespace by name.
func (n *Namespace) Interface(name string) (Interface, error) {
	request, _ := linkMessage(unix.RTM_GETLINK, 0)
	request.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	found, err := n.links(request)
	if err != nil {
		return Interface{}, fmt.Errorf("look for interface %s: %w", name, err)
	}
	return found[0], nil
}

// InterfacesOf finds the netdevs of a PCI function in the namespace, whatever they are called there, by their index. It
// lists the namespace's links, which is for the way back, not for the way in. None gives ErrNoInterface.
func (n *Namespace) InterfacesOf(address PCIAddress) ([]Interface, error) {
	found, err := n.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("look for the interface of %s: %w", address, err)
	}
	found = slices.DeleteFunc(found, func(one Interface) bool { return one.Parent != address })
	if len(found) == 0 {
		return nil, fmt.Errorf("look for the interface of %s: %w", address, ErrNoInterface)
	}
	return found, nil
}

// Interfaces lists the netdevs of the namespace by their index.
func (n *Namespace) Interfaces() ([]Interface, error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	request.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	found, err := n.links(request)
	if err != nil && !errors.Is(err, ErrNoInterface) {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	slices.SortFunc(found, func(a, b Interface) int { return a.Index - b.Index })
	return found, nil
}

// Interface finds a netdev in the host's namespace by name.
func (h *Host) Interface(name string) (Interface, error) { return h.net.Interface(name) }

func (n *Namespace) links(request *nl.NetlinkRequest) ([]Interface, error) {
	messages, err := n.send(request)
	if errors.Is(err, unix.ENODEV) {
		return nil, ErrNoInterface
	}
	if err != nil {
		return nil, err
	}
	if len(messages) == 0 {
		return nil, ErrNoInterface
	}
	found := make([]Interface, 0, len(messages))
	for _, message := range messages {
		link, err := netlink.LinkDeserialize(nil, message)
		if err != nil {
			return nil, err
		}
		found = append(found, newInterface(link))
	}
	return found, nil
}

func newInterface(link netlink.Link) Interface {
	attrs := link.Attrs()
	one := Interface{
		Index: attrs.Index, Name: attrs.Name, AltNames: attrs.AltNames, Alias: attrs.Alias, MTU: attrs.MTU, Master: attrs.MasterIndex,
		Running:      attrs.RawFlags&unix.IFF_RUNNING != 0,
		Up:           attrs.RawFlags&unix.IFF_UP != 0,
		Promiscuous:  attrs.RawFlags&unix.IFF_PROMISC != 0,
		AllMulticast: attrs.RawFlags&unix.IFF_ALLMULTI != 0,
		Promiscuity:  attrs.Promisc,
		XDP:          attrs.Xdp != nil && attrs.Xdp.Attached,
	}
	if attrs.NetNsID < 0 && attrs.ParentIndex != attrs.Index && !paired(link.Type()) {
		one.Lower = attrs.ParentIndex
	}
	if len(attrs.HardwareAddr) == len(one.MAC) {
		one.MAC = MAC(attrs.HardwareAddr)
	}
	if attrs.ParentDevBus == "pci" {
		if parent, err := ParsePCIAddress(strings.TrimRight(attrs.ParentDev, "\x00")); err == nil {
			one.Parent = parent
		}
	}
	return one
}

// paired tells of kinds of interfaces whose IFLA_LINK is their other end, not what they stand upon.
func paired(kind string) bool { return kind == "veth" || kind == "netkit" || kind == "vxcan" }

// LinkChange is what one RTM_NEWLINK does to an interface. The zero value of a field leaves that as it is.
type LinkChange struct {
	// Into moves the interface to another namespace.
	Into *Namespace
	Name string
	// MTU is in bytes.
	MTU int
	MAC MAC
	// Alias replaces the alias; the empty text removes it.
	Alias *string
	// Up raises the interface, Down lowers it.
	Up, Down bool
	// Quiet takes back that the interface was made promiscuous or told to take every multicast.
	Quiet bool
}

// IsZero tells whether nothing is changed.
func (c LinkChange) IsZero() bool { return c == LinkChange{} }

// Change sends one message with all of the change. The kernel moves first, then sets address, name and MTU, then raises,
// and it does not take back what it did when a later part is refused: after an error the interface may be in the new
// namespace under its old name. A name that is in use gives ErrNameTaken.
func (n *Namespace) Change(ctx context.Context, index int, change LinkChange) error {
	err := n.change(ctx, func() *nl.NetlinkRequest { return change.message(index) })
	switch {
	case errors.Is(err, unix.EEXIST):
		return fmt.Errorf("%w: %w", ErrNameTaken, err)
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%w: %w", ErrNoInterface, err)
	}
	return err
}

// Change changes an interface in the host's namespace.
func (h *Host) Change(ctx context.Context, index int, change LinkChange) error {
	return h.net.Change(ctx, index, change)
}

// Namespace is the host's own, for moves back into it. The caller does not close it.
func (h *Host) Namespace() *Namespace { return h.net }

// SetAltNames makes the alternative names of an interface what is wanted. A name that is taken is left out: it is not
// worth an attachment.
func (n *Namespace) SetAltNames(ctx context.Context, link Interface, want []string) error {
	for _, name := range link.AltNames {
		if !slices.Contains(want, name) {
			if err := n.changeAltName(ctx, unix.RTM_DELLINKPROP, link.Index, name); err != nil {
				return fmt.Errorf("remove the alternative name %q of %q: %w", name, link.Name, err)
			}
		}
	}
	for _, name := range want {
		if !slices.Contains(link.AltNames, name) {
			err := n.changeAltName(ctx, unix.RTM_NEWLINKPROP, link.Index, name)
			if err != nil && !errors.Is(err, unix.EEXIST) {
				return fmt.Errorf("add the alternative name %q of %q: %w", name, link.Name, err)
			}
		}
	}
	return nil
}

// SetAltNames does it in the host's namespace.
func (h *Host) SetAltNames(ctx context.Context, link Interface, want []string) error {
	return h.net.SetAltNames(ctx, link, want)
}

func (n *Namespace) changeAltName(ctx context.Context, kind, index int, name string) error {
	return n.change(ctx, func() *nl.NetlinkRequest {
		request, _ := linkMessage(kind, index)
		if kind == unix.RTM_NEWLINKPROP {
			request.Flags |= unix.NLM_F_EXCL | unix.NLM_F_CREATE | unix.NLM_F_APPEND
		}
		list := nl.NewRtAttr(unix.IFLA_PROP_LIST|unix.NLA_F_NESTED, nil)
		list.AddRtAttr(unix.IFLA_ALT_IFNAME, nl.ZeroTerminated(name))
		request.AddData(list)
		return request
	})
}

func (c LinkChange) message(index int) *nl.NetlinkRequest {
	request, header := linkMessage(unix.RTM_NEWLINK, index)
	switch {
	case c.Up:
		header.Flags, header.Change = unix.IFF_UP, unix.IFF_UP
	case c.Down:
		header.Change = unix.IFF_UP
	}
	if c.Quiet {
		header.Change |= unix.IFF_PROMISC | unix.IFF_ALLMULTI
	}
	if c.Into != nil {
		request.AddData(nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(c.Into.file.Fd()))))
	}
	if !c.MAC.IsZero() {
		request.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, net.HardwareAddr(c.MAC[:])))
	}
	if c.Name != "" {
		request.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(c.Name)))
	}
	if c.Alias != nil {
		request.AddData(nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(*c.Alias)))
	}
	if c.MTU != 0 {
		request.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(c.MTU))))
	}
	return request
}
