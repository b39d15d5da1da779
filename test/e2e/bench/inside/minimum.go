package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/bench/protocol"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// room is a network namespace with a socket in it.
type room struct {
	file   *os.File
	socket *nl.SocketHandle
}

// minimum times three messages to the kernel for the way in and two for the way back. What else is needed is there
// before: the namespaces, the sockets in them, the numbers of the interfaces, and a code path that was walked once.
func minimum(vf function) (round protocol.Round, err error) {
	host, err := enter(false)
	if err != nil {
		return round, err
	}
	pod, err := enter(true)
	if err != nil {
		return round, err
	}
	if err := warm(host, pod); err != nil {
		return round, err
	}
	address := netip.MustParsePrefix(protocol.Address)
	var in, out clock
	err = errors.Join(
		in.step("VLAN through the PF", func() error { return host.send(vlanMessage(vf, protocol.VLAN)) }),
		in.step("move, name, up", func() error { return host.send(moveMessage(vf.index, pod, protocol.Interface, true)) }),
		in.step("address", func() error { return pod.send(addressMessage(vf.index, address)) }),
	)
	time.Sleep(protocol.Hold)
	err = errors.Join(err,
		out.step("move, name, down", func() error { return pod.send(moveMessage(vf.index, host, vf.name, false)) }),
		out.step("VLAN through the PF", func() error { return host.send(vlanMessage(vf, 0)) }),
	)
	return protocol.Round{Attach: in.steps, Detach: out.steps}, err
}

// warm walks the code path of messages in each namespace.
func warm(rooms ...room) error {
	for range 5 {
		for _, one := range rooms {
			if err := one.send(linkMessage(unix.RTM_GETLINK, 1)); err != nil {
				return fmt.Errorf("look at the loopback interface: %w", err)
			}
		}
	}
	return nil
}

// serial is minimum for many VFs, each with a namespace of its own: one step for all of them, in and back.
func serial(addresses []string) (round protocol.Round, err error) {
	host, err := enter(false)
	if err != nil {
		return round, err
	}
	vfs, pods := make([]function, len(addresses)), make([]room, len(addresses))
	for i := range addresses {
		if vfs[i], err = findFunction(addresses[i]); err == nil {
			err = vfs[i].locate()
		}
		if err == nil {
			pods[i], err = enter(true)
		}
		if err != nil {
			return round, err
		}
	}
	if err := warm(append(pods, host)...); err != nil {
		return round, err
	}
	each := func(do func(vf function, pod room) error) func() error {
		return func() (err error) {
			for i := range vfs {
				err = errors.Join(err, do(vfs[i], pods[i]))
			}
			return err
		}
	}
	address := netip.MustParsePrefix(protocol.Address)
	var in, out clock
	err = in.step("all in", each(func(vf function, pod room) error {
		return errors.Join(
			host.send(vlanMessage(vf, protocol.VLAN)),
			host.send(moveMessage(vf.index, pod, protocol.Interface, true)),
			pod.send(addressMessage(vf.index, address)),
		)
	}))
	time.Sleep(protocol.Hold)
	err = errors.Join(err, out.step("all back", each(func(vf function, pod room) error {
		return errors.Join(pod.send(moveMessage(vf.index, host, vf.name, false)), host.send(vlanMessage(vf, 0)))
	})))
	return protocol.Round{Attach: in.steps, Detach: out.steps}, err
}

// enter opens this thread's network namespace, or makes a new one, with a socket there; the thread comes home.
func enter(unshare bool) (one room, err error) {
	runtime.LockOSThread()
	const own = "/proc/thread-self/ns/net"
	home, err := os.Open(own)
	if err != nil {
		return room{}, err
	}
	defer home.Close()
	if unshare {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return room{}, fmt.Errorf("make a network namespace: %w", err)
		}
	}
	if one.file, err = os.Open(own); err != nil {
		return room{}, err
	}
	socket, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return room{}, fmt.Errorf("open a netlink socket: %w", err)
	}
	one.socket = &nl.SocketHandle{Socket: socket}
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		return room{}, fmt.Errorf("come home: %w", err)
	}
	runtime.UnlockOSThread()
	return one, nil
}

func (r room) send(request *nl.NetlinkRequest) error {
	request.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: r.socket}
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

func linkMessage(kind, index int) *nl.NetlinkRequest {
	request := nl.NewNetlinkRequest(kind, unix.NLM_F_ACK)
	header := nl.NewIfInfomsg(unix.AF_UNSPEC)
	header.Index = int32(index)
	request.AddData(header)
	return request
}

func vlanMessage(vf function, vlan int) *nl.NetlinkRequest {
	request := linkMessage(unix.RTM_SETLINK, vf.pfIndex)
	list := nl.NewRtAttr(unix.IFLA_VFINFO_LIST, nil)
	info := list.AddRtAttr(nl.IFLA_VF_INFO, nil)
	info.AddRtAttr(nl.IFLA_VF_VLAN, (&nl.VfVlan{Vf: uint32(vf.id), Vlan: uint32(vlan)}).Serialize())
	request.AddData(list)
	return request
}

func moveMessage(index int, into room, name string, up bool) *nl.NetlinkRequest {
	request := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	header := nl.NewIfInfomsg(unix.AF_UNSPEC)
	header.Index, header.Change = int32(index), unix.IFF_UP
	if up {
		header.Flags = unix.IFF_UP
	}
	request.AddData(header)
	request.AddData(nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(into.file.Fd()))))
	request.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	return request
}

func addressMessage(index int, address netip.Prefix) *nl.NetlinkRequest {
	request := nl.NewNetlinkRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	header := nl.NewIfAddrmsg(unix.AF_INET)
	header.Index, header.Prefixlen = uint32(index), uint8(address.Bits())
	request.AddData(header)
	bytes := address.Addr().AsSlice()
	request.AddData(nl.NewRtAttr(unix.IFA_LOCAL, bytes))
	request.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, bytes))
	return request
}
