package attach_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// namespaceAt makes a path that leads to this process's network namespace, for tests that let it end.
func namespaceAt(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "netns")
	if err := os.Symlink(ownNetNS, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// replaced lets something else be at a path.
func replaced(t *testing.T, path string, with func(path string) error) {
	t.Helper()
	err := os.Remove(path)
	if err == nil && with != nil {
		err = with(path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestPendingSandboxIsNotPruned: the runtime's list lacks what is just being created.
func TestPendingSandboxIsNotPruned(t *testing.T) {
	t.Attr("fault", "6")
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	release := b.world.Hold()
	if err := b.Attach(sandbox("a"), []attach.Want{want(100, "net1")}, false); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		b.Reconcile(nil)
		b.Sweep()
	}
	release()
	b.mustReady("a")
	b.Reconcile(nil) // also when it is served, and its first container is not there yet
	b.Sweep()
	b.eventually("0000:01:10.0 attached a\n0000:01:10.0 net1 in \"pod\" vlan 100")
}

// TestRestartWhileAttaching: the intent is on disk before the kernel is touched, and the next daemon finishes it.
func TestRestartWhileAttaching(t *testing.T) {
	t.Attr("fault", "7")
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	release := b.world.Hold()
	defer release()
	if err := b.Attach(sandbox("a"), []attach.Want{want(100, "net1")}, false); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if len(b.files("sandboxes")) > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	after := restart(b) // between RunPodSandbox and CreateContainer
	if _, err := after.Ready(t.Context(), "a"); err == nil {
		t.Fatal("a container was let through before anybody knows what the pod has")
	}
	release()
	after.Reconcile([]attach.Live{{Sandbox: sandbox("a"), Wants: []attach.Want{want(100, "net1")}}})
	if got := after.mustReady("a"); got[0].Address != attachtest.VFAddress(0, 0) {
		t.Errorf("the pod has %s", got[0].Address)
	}
}

// TestNamespaceThatIsNoneAnyMore: what lies at the path is no network namespace, or another one; nobody told of the end.
func TestNamespaceThatIsNoneAnyMore(t *testing.T) {
	other, err := os.Open("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for name, with := range map[string]func(path string) error{
		"nothing":           nil,
		"a file":            func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a folder":          func(path string) error { return os.Mkdir(path, 0o700) },
		"another namespace": func(path string) error { return os.Symlink("/proc/self/ns/mnt", path) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, row := range []string{"9", "10", "18"} {
				t.Attr("fault", row)
			}
			b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
			told, untold := sandbox("told"), sandbox("untold")
			told.NetNS, untold.NetNS = namespaceAt(t), namespaceAt(t)
			for _, one := range []attach.Sandbox{told, untold} {
				if err := b.Attach(one, []attach.Want{want(100, "net1")}, false); err != nil {
					t.Fatal(err)
				}
				b.mustReady(one.ID)
			}
			b.Sweep()
			if !b.Known("untold") {
				t.Fatal("a live sandbox was released")
			}
			replaced(t, told.NetNS, with)
			replaced(t, untold.NetNS, with)
			b.Release("told")
			b.Sweep()
			b.eventually("")
			b.gone("told")
			b.gone("untold")
		})
	}
}

// watched is a world that notes into which namespaces it was led on the way back.
type watched struct {
	*attachtest.World
	mutex sync.Mutex
	led   []*vf.Namespace
}

func (w *watched) Release(ctx context.Context, a attach.Attachment, pf vf.PF, ns *vf.Namespace) error {
	w.mutex.Lock()
	w.led = append(w.led, ns)
	w.mutex.Unlock()
	return w.World.Release(ctx, a, pf, ns)
}

// TestLateReleaseEntersNoOtherNamespace: at the old pod's path is another pod's namespace by now.
func TestLateReleaseEntersNoOtherNamespace(t *testing.T) {
	t.Attr("fault", "15")
	inode, err := vf.NamespaceInode(ownNetNS)
	if err != nil {
		t.Fatal(err)
	}
	for name, same := range map[string]bool{"its own": true, "another": false} {
		t.Run(name, func(t *testing.T) {
			device := &watched{World: attachtest.NewWorld(1, 1)}
			b := startWith(t, device.World, device, t.TempDir())
			b.mustAttach("a", want(100, "net1"))
			text := strings.Replace(string(b.record("a")), fmt.Sprint(inode), fmt.Sprint(inode+1), 1)
			if text == string(b.record("a")) {
				t.Fatal("the record does not tell the namespace's inode")
			}
			if !same {
				b.writeRecord("a", []byte(text))
				b = startWith(t, device.World, device, b.dir) // finds it ended
			} else {
				b.Release("a")
			}
			b.eventually("")
			device.mutex.Lock()
			defer device.mutex.Unlock()
			if len(device.led) == 0 || (device.led[0] != nil) != same {
				t.Errorf("on the way back it was led into %v", device.led)
			}
		})
	}
}

// TestEndsThatComeTwiceOrNever: each of them is success and changes nothing.
func TestEndsThatComeTwiceOrNever(t *testing.T) {
	t.Attr("fault", "17")
	b := start(t, attachtest.NewWorld(1, 1), t.TempDir())
	b.Release("never ran")
	b.Release("")
	b.mustAttach("a", want(100, "net1"))
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() { b.Release("a") })
	}
	all.Wait()
	b.eventually("")
	b.gone("a")
	b.Release("a")
	b.mustAttach("b", want(200, "net1"))
	b.Release("a")
	b.eventually("0000:01:10.0 attached b\n0000:01:10.0 net1 in \"pod\" vlan 200")
}

// halfway is a world in which the VF arrives in the pod, and then a part of the message is refused.
type halfway struct {
	*attachtest.World
	refusal error
}

func (h *halfway) Attach(ctx context.Context, a *attach.Attachment, pf vf.PF, have vf.Settings, ns *vf.Namespace) error {
	if err := h.World.Attach(ctx, a, pf, have, ns); err != nil {
		return err
	}
	return h.refusal
}

// TestHalfwayComesBack: VFs that are in the pod already when a part of the attach is refused come back and are clean, those
// beside them, too, and no container is let through.
func TestHalfwayComesBack(t *testing.T) {
	for _, c := range []struct {
		row     string
		refusal error
	}{
		{"13", fmt.Errorf("move: %w", vf.ErrNameTaken)},
		{"14", errors.New("move: invalid argument")},
		{"26", fmt.Errorf("set vlan: %w", vf.ErrUnsupported)},
		{"24", fmt.Errorf("set mac: %w", vf.ErrBusy)},
	} {
		t.Run(c.refusal.Error(), func(t *testing.T) {
			t.Attr("fault", c.row)
			device := &halfway{World: attachtest.NewWorld(2, 1), refusal: c.refusal}
			b := startWith(t, device.World, device, t.TempDir())
			if err := b.Attach(sandbox("a"), []attach.Want{want(100, "net1"), want(200, "net2")}, true); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Ready(t.Context(), "a"); !errors.Is(err, c.refusal) {
				t.Fatalf("the gate says %v", err)
			}
			b.eventually("")
			for range 500 { // the record goes a moment after the VFs are free
				if len(b.files("sandboxes")) == 0 {
					break
				}
				time.Sleep(time.Millisecond)
			}
			if left := append(b.files("results"), b.files("sandboxes")...); len(left) != 0 {
				t.Errorf("traces left: %v", left)
			}
		})
	}
}

// TestVFThatThePFDoesNotReport is not offered before the PF reports it as clean: it may have settings of an earlier tenant.
func TestVFThatThePFDoesNotReport(t *testing.T) {
	t.Attr("fault", "25")
	w := attachtest.NewWorld(1, 2)
	w.SetVLAN(attachtest.VFAddress(0, 1), 77)
	w.FailRelease("", errors.New("PF pf0 does not report VF 1"))
	b := startWith(t, w, w, t.TempDir(), func(o *attach.Options) {
		o.Settings = func(pf vf.PF) (map[int]vf.Settings, error) {
			settings, err := w.SettingsOf(pf)
			delete(settings, 1)
			return settings, err
		}
	})
	b.mustAttach("a", want(0, "net1"))
	if err := b.Attach(sandbox("b"), []attach.Want{want(0, "net1")}, false); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got, err := b.Ready(ctx, "b"); err == nil {
		t.Fatalf("a pod was given %+v with the VLAN of another", got)
	}
	w.FailRelease("", nil)
	if got := b.mustReady("b"); got[0].Address != attachtest.VFAddress(0, 1) {
		t.Errorf("%+v", got)
	}
	b.eventually("0000:01:10.0 attached a\n0000:01:10.1 attached b\n0000:01:10.0 net1 in \"pod\" vlan 0\n0000:01:10.1 net1 in \"pod\" vlan 0")
}

// TestPFThatCannotBeRead: VFs that come up while it says nothing are not offered.
func TestPFThatCannotBeRead(t *testing.T) {
	t.Attr("fault", "25")
	w := attachtest.NewWorld(1, 1)
	var mutex sync.Mutex
	var fault error
	b := startWith(t, w, w, t.TempDir(), func(o *attach.Options) {
		o.Settings = func(pf vf.PF) (map[int]vf.Settings, error) {
			mutex.Lock()
			defer mutex.Unlock()
			if fault != nil {
				return nil, fault
			}
			return w.SettingsOf(pf)
		}
	})
	b.pool.Release("", attachtest.VFAddress(0, 0), "is looked at before it is offered") // as if it had just come
	w.SetVLAN(attachtest.VFAddress(0, 0), 77)
	w.FailRelease("", errors.New("the PF cannot be read"))
	mutex.Lock()
	fault = errors.New("the PF cannot be read")
	mutex.Unlock()
	b.Changed(inventory.Changes{Unseen: []vf.PCIAddress{attachtest.VFAddress(0, 0)}})
	b.eventually("0000:01:10.0 releasing \n0000:01:10.0 enp1s0v0 in \"\" vlan 77")
	w.FailRelease("", nil)
	b.eventually("")
}

// TestStartBesideAPFThatCannotBeRead: one adapter that says nothing does not keep the daemon from serving the others, and its
// VFs are offered when it speaks.
func TestStartBesideAPFThatCannotBeRead(t *testing.T) {
	t.Attr("fault", "25")
	w := attachtest.NewWorld(2, 1)
	fault := errors.New("no such device")
	w.FailRelease("", fault)
	b := startWith(t, w, w, t.TempDir(), func(o *attach.Options) {
		o.Settings = func(pf vf.PF) (map[int]vf.Settings, error) {
			if pf.Name() == "pf0" {
				return nil, fault
			}
			return w.SettingsOf(pf)
		}
	})
	b.eventually("0000:01:10.0 releasing ")
	if got := b.mustAttach("a", want(100, "net1")); got[0].PFName != "pf1" {
		t.Errorf("the pod has %+v", got)
	}
	w.FailRelease("", nil)
	b.eventually("0000:02:10.0 attached a\n0000:02:10.0 net1 in \"pod\" vlan 100")
}

// TestNamespaceOfTheHost: nothing is ever moved into the host's own namespace, whatever path leads there.
func TestNamespaceOfTheHost(t *testing.T) {
	inode, err := vf.NamespaceInode(ownNetNS)
	if err != nil {
		t.Fatal(err)
	}
	w := attachtest.NewWorld(1, 1)
	b := startWith(t, w, w, t.TempDir(), func(o *attach.Options) { o.Host = inode })
	before := open(t)
	for _, path := range []string{ownNetNS, namespaceAt(t), fmt.Sprintf("/proc/%d/ns/net", os.Getpid())} {
		one := sandbox("a")
		one.NetNS = path
		if err := b.Attach(one, []attach.Want{want(100, "net1")}, false); err == nil || !strings.Contains(err.Error(), "is the host's") {
			t.Errorf("%s: %v", path, err)
		}
		if refused := b.Reconcile([]attach.Live{{Sandbox: one, Wants: []attach.Want{want(100, "net1")}}}); len(refused) != 1 {
			t.Errorf("%s late: %v", path, refused)
		}
	}
	b.eventually("")
	if now := open(t); now > before {
		t.Errorf("%d file descriptors, before %d", now, before)
	}
}
