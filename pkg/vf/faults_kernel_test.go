package vf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// fds lists this process's file descriptors with what they are.
func fds(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]string{}
	for _, one := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + one.Name()); err == nil {
			open[one.Name()] = target
		}
	}
	return open
}

// TestListWhileLinksComeAndGo: the kernel marks a list as inconsistent when links change while it is made.
func TestListWhileLinksComeAndGo(t *testing.T) {
	t.Attr("fault", "30")
	ns := privateNamespace(t)
	maker := handle(t, ns)
	for i := range 60 { // more than one message of a list holds
		veth(t, ns, fmt.Sprint("a", i), fmt.Sprint("b", i))
	}
	stop := make(chan struct{})
	var churn sync.WaitGroup
	churn.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			attrs := netlink.NewLinkAttrs()
			attrs.Name = fmt.Sprint("c", i)
			if err := maker.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: fmt.Sprint("d", i)}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	lists := 0
	for begun := time.Now(); time.Since(begun) < 500*time.Millisecond; lists++ {
		links, err := ns.Interfaces()
		if err != nil {
			t.Error(err)
			break
		}
		seen := 0
		for _, link := range links {
			if link.Name[0] == 'a' || link.Name[0] == 'b' {
				seen++
			}
		}
		if seen != 120 {
			t.Errorf("%d of the 120 links that stay are in the list", seen)
		}
	}
	close(stop)
	churn.Wait()
	t.Attr("injected", fmt.Sprint(lists))
}

// TestThreadThatCannotComeHome: a thread that stays in a pod's namespace is never given another goroutine.
func TestThreadThatCannotComeHome(t *testing.T) {
	t.Attr("fault", "33")
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	ns := privateNamespace(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	lost := 0
	err = ns.Enter(func() error {
		lost = unix.Gettid()
		for fd, target := range fds(t) { // the way home leads nowhere
			var number int
			if _, err := fmt.Sscan(fd, &number); err != nil {
				return err
			}
			if target == home {
				if err := unix.Dup3(int(null.Fd()), number, unix.O_CLOEXEC); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "leave network namespace") {
		t.Fatalf("the thread came home: %v", err)
	}
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			if at, err := os.Readlink("/proc/thread-self/ns/net"); err != nil || at != home || unix.Gettid() == lost {
				t.Errorf("a goroutine runs in %s on thread %d, %v", at, unix.Gettid(), err)
			}
			time.Sleep(time.Millisecond)
		})
	}
	all.Wait()
	for range 200 {
		if _, err := os.Stat(fmt.Sprint("/proc/self/task/", lost)); errors.Is(err, fs.ErrNotExist) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("thread %d lives on", lost)
}

// TestCyclesLeaveNothing: namespaces, sockets and threads of attach and release are given back.
func TestCyclesLeaveNothing(t *testing.T) {
	t.Attr("fault", "34")
	const cycles = 40
	t.Attr("injected", fmt.Sprint(cycles))
	host := privateNamespace(t)
	link := veth(t, host, "v0", "v1")
	cycle := func(t *testing.T) {
		pod := privateNamespace(t)
		ns, err := OpenNamespace(fmt.Sprintf("/proc/self/fd/%d", pod.file.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		if err := host.Change(t.Context(), link.Index, LinkChange{Into: ns, Name: "net1", Up: true}); err != nil {
			t.Fatal(err)
		}
		there, err := ns.Interface("net1")
		if err == nil {
			err = ns.Change(t.Context(), there.Index, LinkChange{Into: host, Name: "v0", Down: true})
		}
		if err == nil {
			link, err = host.Interface("v0")
		}
		if err := errors.Join(err, ns.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		t.Run("before", cycle)
	}
	runtime.GC()
	files, goroutines := len(fds(t)), runtime.NumGoroutine()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would close what nobody does
	for range cycles {
		t.Run("cycle", cycle)
	}
	for range 100 { // a goroutine ends a moment after it has answered
		if runtime.NumGoroutine() <= goroutines {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > goroutines {
		t.Errorf("%d goroutines, before %d", now, goroutines)
	}
	if now := len(fds(t)); now > files {
		t.Errorf("%d file descriptors, before %d: %v", now, files, fds(t))
	}
}

// TestPathsThatAreNoNamespace: what a runtime names is looked at before it is used, and opening it never waits.
func TestPathsThatAreNoNamespace(t *testing.T) {
	t.Attr("fault", "10")
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	file, fifo, folder, link, broken := at("file"), at("fifo"), at("folder"), at("link"), at("broken")
	err := errors.Join(os.WriteFile(file, nil, 0o600), unix.Mkfifo(fifo, 0o600), os.Mkdir(folder, 0o700),
		os.Symlink(file, link), os.Symlink(at("none"), broken))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, fifo, folder, link, broken, at("none"), os.DevNull, "/proc/self/status"} {
		for what, look := range map[string]func(string) error{
			"open": func(path string) error { _, err := OpenNamespace(path); return err },
			"look": func(path string) error { _, err := NamespaceInode(path); return err },
		} {
			done := make(chan error, 1)
			go func() { done <- look(path) }()
			select {
			case err := <-done:
				if !errors.Is(err, ErrNoNamespace) {
					t.Errorf("%s %s: %v", what, path, err)
				}
			case <-time.After(5 * time.Second):
				t.Fatalf("%s %s waits", what, path)
			}
		}
	}
	if _, err := OpenNamespace(""); err == nil {
		t.Error("no path at all was opened")
	}
	before := len(fds(t))
	for range 20 {
		if _, err := OpenNamespace(file); err == nil {
			t.Fatal("a file was opened")
		}
	}
	if now := len(fds(t)); now > before {
		t.Errorf("%d file descriptors, before %d", now, before)
	}
}

// TestPartsThatAreRefused: whatever part of the one message is refused, the interface is found again, and brought home by
// what is known of it.
func TestPartsThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		fault  string
		what   string
		change LinkChange
	}{
		{"13", "a name that is taken", LinkChange{Name: "taken"}},
		{"12", "an alternative name that is taken", LinkChange{Name: "alternative"}},
		{"14", "an MTU that the driver does not have", LinkChange{Name: "net1", MTU: 1 << 20}},
		{"14", "a multicast MAC address", LinkChange{Name: "net1", MAC: MAC{3, 0, 0, 0, 0, 1}}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Attr("fault", c.fault)
			host, pod := privateNamespace(t), privateNamespace(t)
			other := veth(t, pod, "taken", "peer")
			if err := pod.SetAltNames(t.Context(), other, []string{"alternative"}); err != nil {
				t.Fatal(err)
			}
			link := veth(t, host, "v0", "v1")
			c.change.Into, c.change.Up = pod, true
			if err := host.Change(t.Context(), link.Index, c.change); err == nil {
				t.Fatal("it was taken")
			}
			where := pod
			if _, err := host.Interface("v0"); err == nil {
				where = host
			}
			found := Interface{}
			for _, name := range []string{"v0", "net1"} {
				if one, err := where.Interface(name); err == nil {
					found = one
				}
			}
			if found.Index == 0 {
				t.Fatal("it is in neither namespace")
			}
			if where == pod {
				if err := pod.Change(t.Context(), found.Index, LinkChange{Into: host, Name: "v0", Down: true, Quiet: true}); err != nil {
					t.Fatal(err)
				}
			}
			if got := draw(host, "v0"); got != "v0 mtu 1500 up false" {
				t.Errorf("back: %s", got)
			}
			if got := draw(pod, "taken"); !strings.HasPrefix(got, "taken") {
				t.Errorf("the pod's own interface: %s", got)
			}
		})
	}
}

// TestIgnoreRouters: an interface that lies in the host takes no router advertisements. The file is the one of the thread's
// network namespace.
func TestIgnoreRouters(t *testing.T) {
	host := privateNamespace(t)
	veth(t, host, "v0", "v1")
	h := &Host{net: host}
	const conf = "/proc/sys/net/ipv6/conf/"
	err := host.Enter(func() error {
		before, err := os.ReadFile(conf + "v0/accept_ra")
		if errors.Is(err, fs.ErrNotExist) {
			return h.IgnoreRouters("v0") // no IPv6, no routers
		}
		if err == nil && string(before) != "1\n" {
			err = fmt.Errorf("accept_ra was %q before", before)
		}
		if err = errors.Join(err, h.IgnoreRouters("v0")); err != nil {
			return err
		}
		for name, want := range map[string]string{"v0": "0\n", "v1": "1\n", "all": "1\n", "default": "1\n"} {
			if got, err := os.ReadFile(conf + name + "/accept_ra"); err != nil || string(got) != want {
				t.Errorf("accept_ra of %s is %q, %v", name, got, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", ".", "..", "all", "default", "../all", "a/b", "/etc"} {
		if err := h.IgnoreRouters(name); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
	if err := h.IgnoreRouters("none"); err != nil {
		t.Errorf("an interface that is not there: %v", err)
	}
}
