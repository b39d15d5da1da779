package trace

import (
	"fmt"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Cost is what calls asked of the kernel, counted.
type Cost struct {
	// Moves are messages that move an interface to another network namespace.
	Moves int
	// Settings are messages that set something of VFs through their PF.
	Settings int
	// VFLists are reads of a PF with its list of VFs, which cost some adapters a firmware command per VF.
	VFLists int
	// Dumps are reads of a whole table of the kernel's.
	Dumps int
	// Addresses are IP addresses that were set.
	Addresses int
	// Programs are programs that were run.
	Programs int
	// Syncs are waits for the disk.
	Syncs int
	// Connects are connections, but those to the runtime's NRI socket.
	Connects int
	// Sleeps are sleeps in a system call of the program's own; see Sleepers for all others.
	Sleeps int
}

// nriSocket is how the runtime's socket ends.
const nriSocket = "/nri/nri.sock"

// Count counts what calls cost.
func Count(calls []Call) (Cost, error) {
	var cost Cost
	for _, call := range calls {
		switch call.Name {
		case "execve", "execveat":
			cost.Programs++
		case "fsync", "fdatasync", "sync", "syncfs", "sync_file_range":
			cost.Syncs++
		case "clock_nanosleep": // the Go runtime's own monitor thread uses nanosleep
			cost.Sleeps++
		case "connect":
			if !strings.Contains(call.Text, nriSocket) {
				cost.Connects++
			}
		default:
			if !strings.Contains(call.Text, "NETLINK") {
				continue // the bytes are no messages
			}
			if err := cost.addMessages(call.Sent); err != nil {
				return Cost{}, fmt.Errorf("%w in %s", err, call.Text)
			}
		}
	}
	return cost, nil
}

// addMessages counts netlink messages. The socket's kind is not looked at: messages of other families than routing
// have numbers of their own, which are above those that are counted here.
func (c *Cost) addMessages(bytes []byte) error {
	if len(bytes) == 0 {
		return fmt.Errorf("no bytes of a message")
	}
	order := nl.NativeEndian()
	for len(bytes) > 0 {
		if len(bytes) < unix.SizeofNlMsghdr {
			return fmt.Errorf("%d bytes where a message begins", len(bytes))
		}
		length := int(order.Uint32(bytes))
		if length < unix.SizeofNlMsghdr || length > len(bytes) {
			return fmt.Errorf("a message of %d bytes in %d", length, len(bytes))
		}
		kind, flags := order.Uint16(bytes[4:]), order.Uint16(bytes[6:])
		if err := c.addMessage(kind, flags, bytes[unix.SizeofNlMsghdr:length]); err != nil {
			return err
		}
		bytes = bytes[min(len(bytes), (length+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]
	}
	return nil
}

func (c *Cost) addMessage(kind, flags uint16, body []byte) error {
	// The bits of NLM_F_DUMP mean something else where nothing is asked for; requests that ask have numbers 4n+2.
	if kind >= unix.RTM_BASE && kind%4 == 2 && flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP {
		c.Dumps++
	}
	switch kind {
	case unix.RTM_NEWADDR:
		c.Addresses++
		return nil
	case unix.RTM_NEWLINK, unix.RTM_SETLINK, unix.RTM_GETLINK:
	default:
		return nil
	}
	if len(body) <= unix.SizeofIfInfomsg {
		return nil
	}
	attributes, err := nl.ParseRouteAttr(body[unix.SizeofIfInfomsg:])
	if err != nil {
		return fmt.Errorf("read the attributes of message %d: %w", kind, err)
	}
	for _, one := range attributes {
		switch of := one.Attr.Type & nl.NLA_TYPE_MASK; {
		case kind == unix.RTM_GETLINK:
			if of == unix.IFLA_EXT_MASK && len(one.Value) >= 4 && nl.NativeEndian().Uint32(one.Value)&nl.RTEXT_FILTER_VF != 0 {
				c.VFLists++
			}
		case of == unix.IFLA_NET_NS_FD, of == unix.IFLA_NET_NS_PID, of == unix.IFLA_TARGET_NETNSID:
			c.Moves++
		case of == unix.IFLA_VFINFO_LIST:
			c.Settings++
		}
	}
	return nil
}
