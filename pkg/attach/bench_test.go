package attach_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/sirupsen/logrus"
)

// bench is a world with an Attacher on it.
type bench struct {
	*attach.Attacher
	*testing.T
	world *attachtest.World
	pool  *inventory.Pool
	dir   string
}

// start runs an Attacher on the world, with the journal in dir, as a daemon that starts.
func start(t *testing.T, w *attachtest.World, dir string) *bench {
	t.Helper()
	return startWith(t, w, w, dir)
}

// startWith is start with another device than the world itself, and other options.
func startWith(t *testing.T, w *attachtest.World, device attach.Device, dir string, changes ...func(*attach.Options)) *bench {
	t.Helper()
	return startIn(t, w, device, dir, dir, changes...)
}

// startIn is startWith with a run folder. Neither folder need be well.
func startIn(t *testing.T, w *attachtest.World, device attach.Device, dir, run string, changes ...func(*attach.Options)) *bench {
	t.Helper()
	j, err := journal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	results, err := attach.OpenResults(run)
	if err != nil {
		t.Log(err)
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	copies, err := journal.Open(filepath.Join(run, "copies"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	pool := inventory.NewPool(w.Providers())
	options := attach.Options{
		Pool: pool, Journal: j, Copies: copies, Reread: w.Reread, Results: results, Device: device, Address: w, Announce: w, Settings: w.SettingsOf, Open: vf.OpenNamespace, Log: log,
		Times: attach.Times{Attach: 5 * time.Second, Release: 5 * time.Second, Retry: time.Millisecond, MaxRetry: 10 * time.Millisecond, Absent: time.Hour},
	}
	for _, change := range changes {
		change(&options)
	}
	a := attach.New(ctx, options)
	b := &bench{Attacher: a, T: t, world: w, pool: pool, dir: dir}
	t.Cleanup(func() {
		cancel()
		if err := a.Wait(context.Background()); err != nil {
			t.Error(err)
		}
	})
	records, _, err := j.Load()
	if err != nil {
		t.Fatal(err)
	}
	copied, _, err := copies.Load()
	if err != nil {
		t.Fatal(err)
	}
	a.Recover(attach.Merge(records, copied))
	return b
}

// ownNetNS stands for the pod's namespace: the world looks into none.
const ownNetNS = "/proc/self/ns/net"

func sandbox(id string) attach.Sandbox {
	return attach.Sandbox{ID: id, Namespace: "prod", Name: "pod-" + id, UID: "uid-" + id, NetNS: ownNetNS}
}

func want(vlan uint16, names ...string) attach.Want {
	settings := vf.DefaultSettings()
	settings.VLAN.ID = vlan
	return attach.Want{Network: "public", Interfaces: names, Settings: settings, CNIVersion: "1.1.0"}
}

func (b *bench) mustAttach(id string, wants ...attach.Want) []attach.Attachment {
	b.Helper()
	if err := b.Attach(sandbox(id), wants, false); err != nil {
		b.Fatal(err)
	}
	return b.mustReady(id)
}

func (b *bench) mustReady(id string) []attach.Attachment {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
	defer cancel()
	attachments, err := b.Ready(ctx, id)
	if err != nil {
		b.Fatal(err)
	}
	return attachments
}

// gone waits until a sandbox that was released has left no trace.
func (b *bench) gone(id string) {
	b.Helper()
	for range 1000 {
		if !b.Known(id) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	b.Errorf("sandbox %s is still known", id)
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
