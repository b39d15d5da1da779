package vf

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// RDMAExclusive tells whether each RDMA device belongs to one network namespace (`rdma system show` says "netns
// exclusive", ib_core has netns_mode=0) and must be moved with its netdev. In the shared mode, the kernel's default,
// each is in all of them and none can be moved. The mode stays as it is while there are other namespaces than the
// initial one.
//
// Asking loads ib_core where it is a module: ask for functions that have an RDMA device. Without RDMA in the kernel the
// answer is ErrNoRDMA.
func (h *Host) RDMAExclusive() (bool, error) {
	messages, err := h.net.rdma(rdmaRequest(nl.RDMA_NLDEV_CMD_SYS_GET, 0))
	switch {
	case errors.Is(err, unix.EINVAL): // rdma_nl_rcv_msg's answer to a command that it does not have
		return false, fmt.Errorf("ask for the RDMA mode: %w: %w", ErrNoRDMA, err)
	case err != nil:
		return false, fmt.Errorf("ask for the RDMA mode: %w", err)
	case len(messages) == 0:
		return false, errors.New("ask for the RDMA mode: no answer")
	}
	return parseRDMAExclusive(messages[0])
}

// RDMADevices lists the names of the RDMA devices in the namespace, sorted. In the shared mode these are all devices of
// the machine. A name of another form than drivers and udev give is left out: it is not one that Host.RDMADevices gave.
// Without RDMA in the kernel the answer is ErrNoRDMA.
func (n *Namespace) RDMADevices() ([]string, error) {
	devices, err := n.rdmaDevices()
	if err != nil {
		return nil, fmt.Errorf("list RDMA devices: %w", err)
	}
	var names []string
	for _, device := range devices {
		if checkRDMAName(device.name) == nil {
			names = append(names, device.name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// MoveRDMA moves an RDMA device of the namespace into another one, in the exclusive mode. Whoever has the device open
// loses it, and its character devices are made anew: their numbers (uverbs<n>) are to be read after the move. A
// namespace that ends needs no move: the kernel brings the devices in it back to the initial one.
//
// A device that is not in the namespace gives ErrNoRDMADevice; a driver whose devices cannot be moved, and every driver
// in the shared mode, ErrUnsupported; a name that is in use over there, which kernels with names per namespace know,
// ErrNameTaken; a driver that is busy until ctx ends, ErrBusy; a kernel without RDMA, ErrNoRDMA.
func (n *Namespace) MoveRDMA(ctx context.Context, name string, into *Namespace) error {
	if err := checkRDMAName(name); err != nil {
		return err
	}
	err := retry(ctx, func() error { return n.moveRDMA(name, into) })
	switch {
	case errors.Is(err, unix.EEXIST):
		err = fmt.Errorf("%w: %w", ErrNameTaken, err)
	case errors.Is(err, unix.ENODEV):
		err = fmt.Errorf("%w: %w", ErrNoRDMADevice, err)
	}
	if err != nil {
		return fmt.Errorf("move RDMA device %s: %w", name, err)
	}
	return nil
}

// MoveRDMA moves an RDMA device out of the host's namespace.
func (h *Host) MoveRDMA(ctx context.Context, name string, into *Namespace) error {
	return h.net.MoveRDMA(ctx, name, into)
}

func (n *Namespace) moveRDMA(name string, into *Namespace) error {
	devices, err := n.rdmaDevices()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(devices, func(device rdmaDevice) bool { return device.name == name })
	switch {
	case at < 0:
		return ErrNoRDMADevice
	case n.Same(into):
		return nil // kernels without a check of their own would take it from its users for nothing
	}
	_, err = n.rdma(rdmaMove(devices[at].index, uint32(into.file.Fd())))
	return err
}

func (n *Namespace) rdmaDevices() ([]rdmaDevice, error) {
	messages, err := n.rdma(rdmaRequest(nl.RDMA_NLDEV_CMD_GET, unix.NLM_F_DUMP))
	if err != nil {
		return nil, err
	}
	devices := make([]rdmaDevice, 0, len(messages))
	for _, message := range messages {
		device, err := parseRDMADevice(message)
		if err != nil {
			return nil, err
		}
		devices = append(devices, device)
	}
	return devices, nil
}

// rdma executes a request on a socket of its own. All of it happens on a thread in the namespace: the kernel finds a
// device by the namespace of the socket, but moves it only out of the namespace of the thread that sends
// (ib_device_set_netns_put in drivers/infiniband/core/device.c), and answers ENODEV to any other.
func (n *Namespace) rdma(request *nl.NetlinkRequest) (messages [][]byte, err error) {
	err = n.Enter(func() error {
		socket, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_RDMA)
		if err != nil {
			return fmt.Errorf("open a netlink socket: %w", err)
		}
		defer socket.Close()
		if err := socket.SetExtAck(true); err != nil {
			return fmt.Errorf("ask netlink for extended errors: %w", err)
		}
		request.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_RDMA: {Socket: socket}}
		for {
			messages, err = request.Execute(unix.NETLINK_RDMA, 0)
			if !errors.Is(err, unix.EINTR) && !errors.Is(err, netlink.ErrDumpInterrupted) {
				return err
			}
		}
	})
	// Before Linux 5.2 the subsystem listens in the initial namespace only.
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ECONNREFUSED) {
		err = fmt.Errorf("%w: %w", ErrNoRDMA, err)
	}
	return messages, err
}
