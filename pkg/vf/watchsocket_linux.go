package vf

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// receiveBuffer is how many bytes of events the kernel keeps for us, by its own generous count, before it drops some:
// enough for the VFs of several PFs that come at once.
const receiveBuffer = 1 << 20

// maxMessage is more than the kernel sends at once: 2 KiB of a device event (UEVENT_BUFFER_SIZE of linux/kobject.h), or a
// link without its VFs. A longer one is cut off, and counts as news.
const maxMessage = 64 << 10

// deviceGroup is the multicast group of NETLINK_KOBJECT_UEVENT in which the kernel itself speaks; udev speaks in another.
const deviceGroup = 1

// linkGroups are RTNLGRP_* of linux/rtnetlink.h.
var linkGroups = []int{
	unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
}

// defaultRoutesOnly is a socket filter that lets everything pass but routes with a destination, of which a router's node
// may see thousands a second. The offsets are of struct nlmsghdr (nlmsg_type, in the order of the machine, where the
// filter reads in that of the network) and of struct rtmsg after it (rtm_dst_len).
var defaultRoutesOnly = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 4},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: inNetworkOrder(unix.RTM_NEWROUTE), Jt: 1},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: inNetworkOrder(unix.RTM_DELROUTE), Jf: 2},
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: unix.SizeofNlMsghdr + 1},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

func inNetworkOrder(kind uint16) uint32 {
	return uint32(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, kind)))
}

// listener is a netlink socket that the kernel's multicasts arrive at. It does not block a thread: it is closed to end
// who reads from it.
type listener struct {
	*os.File
	raw syscall.RawConn
}

// listen opens a socket in the namespace for groups of a netlink protocol, each of them below 33.
func (n *Namespace) listen(protocol int, filter []unix.SockFilter, groups ...int) (*listener, error) {
	fd := -1
	err := n.Enter(func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "netlink")
	// Without the privilege it has the buffer of everybody, and events are dropped earlier.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
	if len(filter) > 0 {
		program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
			return nil, errors.Join(fmt.Errorf("filter a netlink socket: %w", err), file.Close())
		}
	}
	address := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	for _, group := range groups {
		address.Groups |= 1 << (group - 1)
	}
	if err := unix.Bind(fd, address); err != nil {
		return nil, errors.Join(fmt.Errorf("join groups %v of netlink protocol %d: %w", groups, protocol, err), file.Close())
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a netlink socket: %w", err), file.Close())
	}
	return &listener{File: file, raw: raw}, nil
}

// follow reads until ctx has ended and the socket was closed, and tells of each message that has news. After events were
// dropped, it throws away those before them, which would tell of what is past, and has lost learn anew.
func (l *listener) follow(ctx context.Context, lost func() error, news func([]byte) bool, tell func()) error {
	buffer := make([]byte, maxMessage)
	for {
		n, kernels, err := l.receive(buffer)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			if err := errors.Join(l.drain(buffer), lost()); err != nil {
				return err
			}
			tell()
		case err != nil:
			return fmt.Errorf("listen to the kernel: %w", err)
		case kernels && (n > len(buffer) || news(buffer[:n])):
			tell()
		}
	}
}

// receive waits for a message. Its length may be more than the buffer's; kernels tells that no process has sent it.
func (l *listener) receive(buffer []byte) (n int, kernels bool, err error) {
	closed := l.raw.Read(func(fd uintptr) bool {
		n, kernels, err = receiveNow(int(fd), buffer)
		return !errors.Is(err, unix.EAGAIN)
	})
	if closed != nil {
		return 0, false, closed
	}
	return n, kernels, err
}

// drain throws away what waits.
func (l *listener) drain(buffer []byte) error {
	return l.raw.Control(func(fd uintptr) {
		for {
			if _, _, err := receiveNow(int(fd), buffer); err != nil && !errors.Is(err, unix.ENOBUFS) {
				return // nothing waits, or what is wrong comes again
			}
		}
	})
}

func receiveNow(fd int, buffer []byte) (n int, kernels bool, err error) {
	for {
		n, from, err := unix.Recvfrom(fd, buffer, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		sender, ok := from.(*unix.SockaddrNetlink)
		return n, ok && sender.Pid == 0, err
	}
}
