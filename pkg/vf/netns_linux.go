package vf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Namespace is an open network namespace. While it is open the kernel keeps the namespace alive, even after the
// runtime has removed its path: whoever opens one closes it as soon as its work is done.
type Namespace struct {
	file  *os.File
	inode uint64

	mutex  sync.Mutex
	socket *nl.SocketHandle
}

// ErrNoNamespace says that a path is not, or no longer, a network namespace.
var ErrNoNamespace = errors.New("no network namespace")

// OpenNamespace opens the network namespace that is mounted at path. Opening is all it does: it is fit for a hook.
// A path that is gone or holds something else (a leftover mount point) gives ErrNoNamespace.
func OpenNamespace(path string) (*Namespace, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open %s: %w", path, ErrNoNamespace)
	}
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	ns, err := newNamespace(file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), file.Close())
	}
	return ns, nil
}

func ownNamespace() (*Namespace, error) {
	file, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("open the host's network namespace: %w", err)
	}
	ns, err := newNamespace(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return ns, nil
}

func newNamespace(file *os.File) (*Namespace, error) {
	fd := int(file.Fd())
	var fsys unix.Statfs_t
	if err := unix.Fstatfs(fd, &fsys); err != nil {
		return nil, fmt.Errorf("statfs: %w", err)
	}
	if fsys.Type != unix.NSFS_MAGIC {
		return nil, fmt.Errorf("file system type %#x: %w", fsys.Type, ErrNoNamespace)
	}
	kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	if err != nil {
		return nil, fmt.Errorf("namespace type: %w", err)
	}
	if kind != unix.CLONE_NEWNET {
		return nil, fmt.Errorf("namespace type %#x: %w", kind, ErrNoNamespace)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, fmt.Errorf("stat: %w", err)
	}
	return &Namespace{file: file, inode: stat.Ino}, nil
}

// Inode tells two namespaces apart that were at the same path one after the other.
func (n *Namespace) Inode() uint64 { return n.inode }

// Same tells whether both are one network namespace.
func (n *Namespace) Same(other *Namespace) bool { return n.inode == other.inode }

// Close lets go of the namespace.
func (n *Namespace) Close() error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.socket != nil {
		n.socket.Socket.Close()
		n.socket = nil
	}
	return n.file.Close()
}

// open gives the socket of the namespace, made at the first use.
func (n *Namespace) open() (*nl.SocketHandle, error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.socket != nil {
		return n.socket, nil
	}
	var socket *nl.NetlinkSocket
	err := n.Enter(func() (err error) {
		socket, err = nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	if err := socket.SetExtAck(true); err != nil {
		socket.Close()
		return nil, fmt.Errorf("ask netlink for extended errors: %w", err)
	}
	n.socket = &nl.SocketHandle{Socket: socket}
	return n.socket, nil
}

// Enter runs do on a thread inside the namespace, and brings the thread home. A thread that cannot be brought home is
// never given back to the Go scheduler, so that no other goroutine ever finds itself in the wrong namespace. Bringing
// home is better than ending it: the process's first thread cannot end, and would keep the namespace alive for ever.
func (n *Namespace) Enter(do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("open the thread's network namespace: %w", err)
			return
		}
		defer home.Close()
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("enter network namespace: %w", err)
			return
		}
		err = do()
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
			err = errors.Join(err, fmt.Errorf("leave network namespace: %w", back))
		} else {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// NamespaceInode looks at the network namespace at path without opening it. A path that is gone or holds something else
// gives ErrNoNamespace.
func NamespaceInode(path string) (uint64, error) {
	var fsys unix.Statfs_t
	if err := unix.Statfs(path, &fsys); errors.Is(err, unix.ENOENT) {
		return 0, fmt.Errorf("look at %s: %w", path, ErrNoNamespace)
	} else if err != nil {
		return 0, fmt.Errorf("look at %s: %w", path, err)
	}
	if fsys.Type != unix.NSFS_MAGIC {
		return 0, fmt.Errorf("look at %s: file system type %#x: %w", path, fsys.Type, ErrNoNamespace)
	}
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return 0, fmt.Errorf("look at %s: %w", path, err)
	}
	return stat.Ino, nil
}
