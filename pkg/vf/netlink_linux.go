package vf

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/failpoint"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// extFilterSkipStats is RTEXT_FILTER_SKIP_STATS of linux/rtnetlink.h: leave the statistics out, which cost a firmware
// command per VF on some adapters.
const extFilterSkipStats = 1 << 3

// ErrBusy says that a driver answered EAGAIN or EBUSY for as long as it was asked.
var ErrBusy = errors.New("the driver is busy")

// ErrUnsupported says that a driver does not have a setting.
var ErrUnsupported = errors.New("not supported by the driver")

// linkMessage begins a message about one interface.
func linkMessage(kind, index int) (*nl.NetlinkRequest, *nl.IfInfomsg) {
	request := nl.NewNetlinkRequest(kind, unix.NLM_F_ACK)
	header := nl.NewIfInfomsg(unix.AF_UNSPEC)
	header.Index = int32(index)
	request.AddData(header)
	return request, header
}

// send executes a request in the namespace. The kernel works while it is being sent, for as long as its drivers take.
func (n *Namespace) send(request *nl.NetlinkRequest) ([][]byte, error) {
	socket, err := n.open()
	if err != nil {
		return nil, err
	}
	request.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: socket}
	return whole(request.Flags&unix.NLM_F_DUMP != 0, func() ([][]byte, error) { return request.Execute(unix.NETLINK_ROUTE, 0) })
}

// interruptions is how often an answer may be cut short before it is an error: where links come and go all the time, a
// list of them never ends otherwise.
const interruptions = 50

// whole asks until the answer is a whole one: a list whose contents changed while it was made (NLM_F_DUMP_INTR) and one
// that did not fit the socket (ENOBUFS, and EBUSY while the rest of it is under way) are asked for anew. A change whose
// answer was lost is not repeated: it may have been made.
func whole(list bool, ask func() ([][]byte, error)) ([][]byte, error) {
	for again := 0; ; again++ {
		messages, err := ask()
		cut := errors.Is(err, unix.EINTR) || errors.Is(err, netlink.ErrDumpInterrupted) ||
			list && (errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EBUSY))
		switch {
		case !cut:
			return messages, err
		case again == interruptions:
			return nil, fmt.Errorf("no whole answer in %d tries: %w", again+1, err)
		}
	}
}

// change sends a change, and again while the driver is busy.
func (n *Namespace) change(ctx context.Context, make func() *nl.NetlinkRequest) error {
	return retry(ctx, func() error {
		_, err := n.send(make())
		if err == nil {
			failpoint.Step(failpoint.Kernel)
		}
		return err
	})
}

// retry repeats a change while the driver is busy and ctx lasts. Repeating is right for changes that say the whole
// wanted value, as all of ours do.
func retry(ctx context.Context, try func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		err := try()
		switch {
		case errors.Is(err, unix.EOPNOTSUPP):
			return fmt.Errorf("%w: %w", ErrUnsupported, err)
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EBUSY):
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrBusy, err)
		case <-time.After(pause):
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ErrBusy, err)
		}
	}
}
