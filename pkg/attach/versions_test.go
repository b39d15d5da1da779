package attach_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// golden is a record of an earlier program, as if it had been written since the last boot on this machine.
func golden(t *testing.T, file string) (sandbox string, text []byte) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	inode, err := vf.NamespaceInode(ownNetNS)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("00000000-0000-0000-0000-000000000000"), bytes.TrimSpace(id), 1)
	text = regexp.MustCompile(`"netnsInode":[0-9]+`).ReplaceAll(text, fmt.Appendf(nil, `"netnsInode":%d`, inode))
	var record struct {
		Record struct{ Sandbox struct{ ID string } }
	}
	if err := json.Unmarshal(text, &record); err != nil {
		t.Fatal(err)
	}
	return record.Record.Sandbox.ID, text
}

// TestUpgrade: what earlier programs have written is read, a live pod keeps its VFs, and each comes back clean; the record
// is in today's form then.
func TestUpgrade(t *testing.T) {
	files, err := filepath.Glob("testdata/journal/*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			id, text := golden(t, file)
			world := attachtest.NewWorld(1, 8)
			if strings.Contains(file, "attached") || strings.Contains(file, "releasing") {
				world = attachtest.NewWorld(2, 4)
			}
			b := start(t, world, t.TempDir())
			var wants []attach.Want
			switch {
			case strings.Contains(file, "attached"):
				wants = []attach.Want{want(100, "net1"), want(200, "data0", "data1")}
			case strings.Contains(file, "leased"):
				wants = []attach.Want{lease("net1")}
				b.mustAttach("filler", want(1, "net1")) // the record names another VF
			case strings.Contains(file, "vfio"):
				one := want(400, "net1")
				one.Device = config.DeviceVFIO
				wants = []attach.Want{one}
				b.mustAttach("filler", want(1, "net1", "net2"))
			}
			if wants != nil {
				b.mustAttach(id, wants...)
			}
			before := b.draw()
			b.writeRecord(id, text) // over the one that this program has written
			after := restart(b)
			if broken := after.files("sandboxes"); strings.Contains(strings.Join(broken, " "), "broken") {
				t.Fatalf("set aside: %v", broken)
			}
			if wants == nil { // it was on its way out
				after.gone(id)
				after.eventually("")
				return
			}
			live := []attach.Live{{Sandbox: sandbox(id), Wants: wants}}
			if after.Known("filler") {
				live = append(live, attach.Live{Sandbox: sandbox("filler"), Wants: []attach.Want{want(1, "net1")}})
			}
			after.Reconcile(live)
			for _, one := range after.mustReady(id) {
				if len(one.Ports) != 1 || one.Ports[0].Interface != one.Interface || one.Ports[0].MTU != 1500 || one.Ports[0].MAC.IsZero() && one.Device == config.DeviceNetdev ||
					one.Device != wants[0].Device && one.Device != config.DeviceNetdev || one.Result == nil {
					t.Errorf("%+v", one)
				}
			}
			after.eventually(before)
			if now := string(after.record(id)); !strings.HasPrefix(now, fmt.Sprintf(`{"version":%d,`, journal.Version)) {
				t.Errorf("the record is written as %s", now)
			}
			after.Release(id)
			after.Release("filler")
			after.eventually("")
		})
	}
}

// TestLaterVersion: the record of a later program is left alone, with all that it names, and nobody is given that.
func TestLaterVersion(t *testing.T) {
	b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
	b.mustAttach("a", want(100, "net1"))
	text := bytes.Replace(b.record("a"), fmt.Appendf(nil, `"version":%d`, journal.Version), fmt.Appendf(nil, `"version":%d,"more":{}`, journal.Version+1), 1)
	b.writeRecord("a", text)
	after := restart(b)
	const untouched = "0000:01:10.0 claimed a\n0000:01:10.0 net1 in \"pod\" vlan 100"
	after.eventually(untouched)
	after.Reconcile([]attach.Live{{Sandbox: sandbox("a"), Wants: []attach.Want{want(100, "net1")}}})
	after.Reconcile(nil)
	after.Sweep()
	if _, err := after.Ready(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "a later nri-sriov: start that one again") {
		t.Errorf("the gate says %v", err)
	}
	if got := after.mustAttach("b", want(7, "net1")); got[0].Address != attachtest.VFAddress(0, 1) {
		t.Errorf("b has %s", got[0].Address)
	}
	if err := after.Attach(sandbox("c"), []attach.Want{want(7, "net1")}, false); err == nil {
		t.Error("a VF of the later record is given out")
	}
	after.Release("a")
	after.Release("b")
	after.gone("b")
	after.eventually(untouched)
	if now := after.record("a"); !bytes.Equal(now, text) {
		t.Errorf("the record is now %s", now)
	}
	if left := after.files("results"); len(left) != 1 || left[0] != "a" {
		t.Errorf("results: %v", left)
	}
	if err := os.Remove(filepath.Join(b.dir, "sandboxes/a.json")); err != nil {
		t.Fatal(err)
	}
}
