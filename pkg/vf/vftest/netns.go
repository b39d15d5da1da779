package vftest

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// InPrivateNamespace runs do on a thread in a network namespace of its own, and brings the thread home. What do opens
// keeps the namespace alive. Where namespaces cannot be made the test is skipped, or fails where
// NRI_SRIOV_REQUIRE_KERNEL is set.
func InPrivateNamespace(t *testing.T, do func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- err
			return
		}
		defer home.Close()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		do()
		err = unix.Setns(int(home.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	require(t, <-done, "a private network namespace (CAP_SYS_ADMIN)")
}

// AddVeth makes a pair of veths in a namespace.
func AddVeth(t *testing.T, ns *vf.Namespace, name, peer string) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	var err error
	entered := ns.Enter(func() error {
		var handle *netlink.Handle
		if handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err == nil {
			err = handle.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: peer})
			handle.Close()
		}
		return nil
	})
	require(t, errors.Join(entered, err), "the link type veth")
}

// ThreadID is the number of the calling thread.
func ThreadID() int { return unix.Gettid() }

func require(t *testing.T, err error, what string) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("NRI_SRIOV_REQUIRE_KERNEL") != "":
		t.Fatalf("%s: %v", what, err)
	default:
		t.Skipf("%s is missing here: %v", what, err)
	}
}
