package attach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/sirupsen/logrus"
)

// world is a node without a kernel: it knows where each VF is and what its PF has set for it.
type world struct {
	mutex sync.Mutex
	vfs   map[vf.PCIAddress]*worldVF
	// attachErr and releaseErr fail a step, by interface name; hold stops attaching until it is closed.
	attachErr  map[string]error
	releaseErr map[string]error
	hold       chan struct{}
	// noHome makes the reading of VFs at rest fail.
	noHome error
}

type worldVF struct {
	where    string // "" is the host
	settings vf.Settings
	name     string
}

const (
	hostName = "enp1s0v0"
	restMAC  = "02:00:00:00:00:01"
)

func (w *world) Rest(address vf.PCIAddress) (Resting, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.noHome != nil {
		return Resting{}, w.noHome
	}
	one, ok := w.vfs[address]
	if !ok {
		return Resting{}, errGone
	}
	if one.where != "" {
		return Resting{}, vf.ErrNoInterface
	}
	mac, err := vf.ParseMAC(restMAC)
	return Resting{Interface: one.name, MAC: mac, MTU: 1500}, err
}

func (w *world) Attach(ctx context.Context, a *Attachment, _ vf.PF, have vf.Settings, _ *vf.Namespace) error {
	w.mutex.Lock()
	hold := w.hold
	w.mutex.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	one, ok := w.vfs[a.Address]
	if !ok {
		return errGone
	}
	if one.settings != have {
		return fmt.Errorf("the caller believes %s, it is %s", have, one.settings)
	}
	one.settings = a.Settings
	if err := w.attachErr[a.Interface]; err != nil {
		return err
	}
	one.where, one.name = "pod", a.Interface
	a.MAC, a.EffectiveMTU = a.Resting.MAC, 1500
	return nil
}

func (w *world) Release(_ context.Context, a Attachment, pf vf.PF, _ *vf.Namespace) error {
	w.mutex.Lock()
	one, ok := w.vfs[a.Address]
	if !ok {
		w.mutex.Unlock()
		return errGone
	}
	if err := w.releaseErr[a.Interface]; err != nil {
		w.mutex.Unlock()
		return err
	}
	one.where, one.name, one.settings = "", a.Resting.Interface, vf.DefaultSettings()
	w.mutex.Unlock()
	return w.Unclean(a, pf)
}

func (w *world) Unclean(a Attachment, _ vf.PF) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if one := w.vfs[a.Address]; one.where != "" || one.settings != vf.DefaultSettings() || one.name != a.Resting.Interface {
		return fmt.Errorf("not clean: %+v", one)
	}
	return nil
}

func (w *world) settingsOf(pf vf.PF) (map[int]vf.Settings, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	settings := map[int]vf.Settings{}
	for address, one := range w.vfs {
		if address.Bus == pf.Address.Bus {
			settings[int(address.Function)] = one.settings
		}
	}
	return settings, nil
}

// String draws the VFs that are not at rest, one a line.
func (w *world) String() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	var lines []string
	for address, one := range w.vfs {
		if one.where != "" || one.settings != vf.DefaultSettings() {
			lines = append(lines, fmt.Sprintf("%s %s in %q vlan %d", address, one.name, one.where, one.settings.VLAN.ID))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// bench is a world with an Attacher on it.
type bench struct {
	*Attacher
	*testing.T
	world *world
	pool  *inventory.Pool
	dir   string
}

// newWorld has PFs with vfs VFs each.
func newWorld(pfs, vfs int) *world {
	w := &world{vfs: map[vf.PCIAddress]*worldVF{}, attachErr: map[string]error{}, releaseErr: map[string]error{}}
	for pf := range pfs {
		for id := range vfs {
			w.vfs[vfAddress(pf, id)] = &worldVF{settings: vf.DefaultSettings(), name: hostName}
		}
	}
	return w
}

func vfAddress(pf, id int) vf.PCIAddress {
	return vf.PCIAddress{Bus: uint8(pf + 1), Device: 0x10, Function: uint8(id)}
}

// start runs an Attacher on the world, with the journal in dir, as a daemon that starts.
func start(t *testing.T, w *world, dir string, pfs, vfs int) *bench {
	t.Helper()
	var providers []*inventory.Provider
	for pf := range pfs {
		p := &inventory.Provider{PF: vf.PF{Address: vf.PCIAddress{Bus: uint8(pf + 1)}, Interface: fmt.Sprintf("pf%d", pf), NumVFs: vfs}}
		for id := range vfs {
			one := vf.VF{Address: vfAddress(pf, id), PF: p.PF.Address, ID: id, Interfaces: []string{hostName}, Driver: "igbvf"}
			p.VFs = append(p.VFs, &inventory.VF{VF: one, State: inventory.Free})
		}
		providers = append(providers, p)
	}
	j, err := journal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	results, err := OpenResults(dir)
	if err != nil {
		t.Fatal(err)
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	ctx, cancel := context.WithCancel(t.Context())
	pool := inventory.NewPool(providers)
	a := New(ctx, Options{
		Pool: pool, Journal: j, Results: results, Device: w, Settings: w.settingsOf, Open: vf.OpenNamespace, Log: log,
		Times: Times{Attach: 5 * time.Second, Release: 5 * time.Second, Retry: time.Millisecond, MaxRetry: 10 * time.Millisecond, Absent: time.Hour},
	})
	b := &bench{Attacher: a, T: t, world: w, pool: pool, dir: dir}
	t.Cleanup(func() { cancel(); a.Wait() })
	if err := a.Recover(); err != nil {
		t.Fatal(err)
	}
	return b
}

// ownNetNS stands for the pod's namespace: the world looks into none.
const ownNetNS = "/proc/self/ns/net"

func sandbox(id string) Sandbox {
	return Sandbox{ID: id, Namespace: "prod", Name: "pod-" + id, UID: "uid-" + id, NetNS: ownNetNS}
}

func want(vlan uint16, names ...string) Want {
	settings := vf.DefaultSettings()
	settings.VLAN.ID = vlan
	return Want{Network: "public", Interfaces: names, Settings: settings, CNIVersion: "1.1.0"}
}

func (b *bench) mustAttach(id string, wants ...Want) []Attachment {
	b.Helper()
	if err := b.Attach(sandbox(id), wants, false); err != nil {
		b.Fatal(err)
	}
	return b.mustReady(id)
}

func (b *bench) mustReady(id string) []Attachment {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
	defer cancel()
	attachments, err := b.Ready(ctx, id)
	if err != nil {
		b.Fatal(err)
	}
	return attachments
}

// eventually waits until the VFs that are not free and clean are as drawn.
func (b *bench) eventually(drawn string) {
	b.Helper()
	var now string
	for range 1000 {
		if now = b.draw(); now == drawn {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.Fatalf("the node stays so:\n%s\nwanted:\n%s", now, drawn)
}

// draw shows each VF that is not free or not clean.
func (b *bench) draw() string {
	var lines []string
	for _, provider := range b.pool.Providers() {
		for _, one := range provider.VFs {
			if one.State != inventory.Free {
				lines = append(lines, fmt.Sprintf("%s %s %s", one.Address, one.State, one.Sandbox))
			}
		}
	}
	if world := b.world.String(); world != "" {
		lines = append(lines, world)
	}
	return strings.Join(lines, "\n")
}

func (b *bench) files(glob string) []string {
	b.Helper()
	entries, err := os.ReadDir(b.dir + "/" + glob)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.Fatal(err)
	}
	var names []string
	for _, one := range entries {
		names = append(names, one.Name())
	}
	return names
}
