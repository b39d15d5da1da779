package report_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/kube/apitest"
	"github.com/nri-sriov/nri-sriov/pkg/kube/queue"
	"github.com/nri-sriov/nri-sriov/pkg/kube/report"
	"github.com/nri-sriov/nri-sriov/pkg/kube/status"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type room struct {
	*testing.T
	*apitest.Server
	*report.Reporter
	mutex    sync.Mutex
	outcomes map[queue.Outcome]int
	end      func()
}

func newRoom(t *testing.T) *room {
	r := &room{T: t, Server: apitest.New(t), outcomes: map[queue.Outcome]int{}}
	times := queue.Times{First: 2 * time.Millisecond, Most: 16 * time.Millisecond, Refused: 2 * time.Millisecond, MostRefused: 16 * time.Millisecond}
	var err error
	r.Reporter, err = report.New(report.Options{
		Config: r.Config(), Node: "n1", Times: times,
		Observe: func(_ string, outcome queue.Outcome, _ error) {
			r.mutex.Lock()
			defer r.mutex.Unlock()
			r.outcomes[outcome]++
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Reporter.Run(ctx)
	}()
	r.end = func() { cancel(); <-ended }
	t.Cleanup(r.end)
	return r
}

func (r *room) told() {
	r.Helper()
	for end := time.Now().Add(5 * time.Second); len(r.Waiting()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("waiting %v, asked %v", r.Waiting(), r.Requests())
		}
	}
}

func sandboxOf(name string) attach.Sandbox {
	return attach.Sandbox{ID: "s-" + name, Namespace: "prod", Name: name, UID: "uid-" + name, NetNS: "/run/netns/" + name}
}

func attached(name string, mac byte) attach.Settled {
	one := attach.Attachment{
		Network: "public", Interface: "net1", Device: "netdev", State: attach.Attached,
		Address: vf.PCIAddress{Bus: 1, Device: 16}, PF: vf.PCIAddress{Bus: 1}, PFName: "enp1s0",
		Ports: []attach.Port{{Interface: "net1", MAC: vf.MAC{2, 0, 0, 0, 0, mac}, MTU: 1500}},
	}
	return attach.Settled{Sandbox: sandboxOf(name), Attachments: []attach.Attachment{one}}
}

// TestStatus: what a pod has is shown, replaced by what it has later, taken away when it has nothing, and stays when the
// pod has ended.
func TestStatus(t *testing.T) {
	r := newRoom(t)
	r.PutPod("prod", "web", "uid-web", map[string]string{status.Annotation: `[{"name":"cbr0","default":true}]`})
	shows := func(want string) {
		t.Helper()
		r.told()
		if is := r.Annotation("prod", "web", status.Annotation); !strings.Contains(is, want) || !strings.HasPrefix(is, `[{"name":"cbr0","default":true}`) {
			t.Errorf("is %s, without %s", is, want)
		}
	}
	r.Settled(attached("web", 1))
	shows(`{"name":"sriov.nri.io/public","interface":"net1","mac":"02:00:00:00:00:01","mtu":1500,"dns":{},` +
		`"device-info":{"type":"pci","version":"1.1.0","pci":{"pci-address":"0000:01:10.0","pf-pci-address":"0000:01:00.0"}},` +
		`"sriov.nri.io/sandbox":"/run/netns/web"}`)
	r.Settled(attached("web", 2))
	shows("02:00:00:00:00:02")
	if is := r.Annotation("prod", "web", status.Annotation); strings.Contains(is, ":01\"") {
		t.Errorf("doubled: %s", is)
	}
	r.Ended(sandboxOf("web"))
	shows("02:00:00:00:00:02")
	r.Withdrawn(sandboxOf("web"))
	r.told()
	if is := r.Annotation("prod", "web", status.Annotation); is != `[{"name":"cbr0","default":true}]` {
		t.Errorf("withdrawn, it is %s", is)
	}
}

// TestWithdrawnFromAnOlderSandbox: what the pod's new sandbox has stays shown.
func TestWithdrawnFromAnOlderSandbox(t *testing.T) {
	r := newRoom(t)
	r.PutPod("prod", "web", "uid-web", nil)
	older := sandboxOf("web")
	older.ID = "older"
	r.Settled(attached("web", 1))
	r.told()
	shown := r.Annotation("prod", "web", status.Annotation)
	r.Withdrawn(older)
	r.told()
	if is := r.Annotation("prod", "web", status.Annotation); is == "" || is != shown {
		t.Errorf("it showed %s and shows %s", shown, is)
	}
}

// TestFailedAttach: an Event says why, what was shown goes, and repetitions ask for nothing more.
func TestFailedAttach(t *testing.T) {
	r := newRoom(t)
	r.PutPod("prod", "web", "uid-web", nil)
	r.Settled(attached("web", 1))
	r.told()
	failed := attach.Settled{Sandbox: sandboxOf("web"), Err: errors.New("network \"public\": attach 0000:01:10.0 as net1: it is gone")}
	r.Settled(failed)
	r.told()
	asked := len(r.Requests())
	for range 50 {
		r.Settled(failed)
	}
	time.Sleep(20 * time.Millisecond)
	if more := r.Requests()[asked:]; len(more) != 0 {
		t.Errorf("a pod that fails again and again asks %v", more)
	}
	if is := r.Annotation("prod", "web", status.Annotation); is != "" {
		t.Errorf("it shows %s", is)
	}
	if all := r.Server.Events(); len(all) != 1 || all[0].Reason != "AttachFailed" || all[0].Message != failed.Err.Error() {
		t.Errorf("said %+v", all)
	}
}

// TestShortageIsOneEvent: the attach says it, and so does the gate, in the same words.
func TestShortageIsOneEvent(t *testing.T) {
	r := newRoom(t)
	r.PutPod("prod", "web", "uid-web", nil)
	err := fmt.Errorf("network %q: %w", "public", inventory.ErrNoFreeVF)
	r.Settled(attach.Settled{Sandbox: sandboxOf("web"), Err: err})
	r.Refused(hooks.Refusal{Namespace: "prod", Name: "web", UID: "uid-web", Container: "app", Reason: hooks.NoFreeVF, Err: err})
	for end := time.Now().Add(5 * time.Second); len(r.Server.Events()) == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if all := r.Server.Events(); len(all) != 1 || all[0].Reason != "NoFreeVF" || all[0].Message != err.Error() {
		t.Errorf("said %+v", all)
	}
}

// TestEvents: each of what a person must know of is one, of the object that it is about.
func TestEvents(t *testing.T) {
	r := newRoom(t)
	late := attached("late", 1)
	late.Late = true
	r.PutPod("prod", "late", "uid-late", map[string]string{status.Annotation: "{"})
	r.Settled(late)
	r.Refused(hooks.Refusal{Namespace: "prod", Name: "db", UID: "u", Reason: hooks.NoFreeVF, Err: errors.New("no VF free\nreally")})
	r.Refused(hooks.Refusal{Namespace: "prod", Name: "db", UID: "u", Container: "app", Reason: hooks.NotReady, Err: errors.New("still at work")})
	r.Refused(hooks.Refusal{Namespace: "prod", Name: "db", UID: "u", Container: "app", Runs: true, Reason: hooks.Unprepared, Err: errors.New("it was created")})
	r.Quarantined(attach.Sandbox{}, late.Attachments[0], errors.New("not clean"))
	r.SetAside("s9", errors.New("makes no sense"))
	r.Lost(sandboxOf("late"), late.Attachments[0])
	r.NodeEvent("Warning", report.ConfigRefused, "config.yaml:3: unknown key")
	r.told()
	want := []string{
		"Pod prod/late AttachedLate the pod had started before nri-sriov was there; it has now net1 (network public, 0000:01:10.0)",
		"Node default/n1 ConfigRefused config.yaml:3: unknown key",
		"Node default/n1 JournalRecordSetAside the journal's record of sandbox s9 was set aside: makes no sense",
		"Pod prod/late NetworkStatusMalformed malformed annotation: ",
		"Pod prod/db NoFreeVF no VF free really",
		"Pod prod/db NotReady container app: still at work",
		"Pod prod/db Unprepared container app: it was created",
		"Pod prod/late VFLost net1 (network public): 0000:01:10.0 ",
		"Node default/n1 VFQuarantined 0000:01:10.0 of enp1s0, which nobody has, is in quarantine and tried again: not clean",
	}
	all := r.Server.Events()
	if len(all) != len(want) {
		t.Fatalf("said %+v", all)
	}
	for i, one := range all {
		if text := fmt.Sprintf("%s %s/%s %s %s", one.Kind, one.Namespace, one.Name, one.Reason, one.Message); !strings.HasPrefix(text+" ", want[i]) {
			t.Errorf("%d: %s\nnot %s", i, text, want[i])
		}
	}
	if is := r.Annotation("prod", "late", status.Annotation); is != "{" {
		t.Errorf("what is malformed became %s", is)
	}
}

// TestServerTroubles: whatever the server does, what is said returns at once; when it is well again, all that is live is
// shown and Events have come, and of pods that are gone nothing is left waiting.
func TestServerTroubles(t *testing.T) {
	slow := make(chan struct{})
	for name, fault := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"Forbidden":     apitest.Answer(403),
		"Unauthorized":  apitest.Answer(401),
		"TooMany":       apitest.Answer(429, "Retry-After", "0"),
		"Unprocessable": apitest.Answer(422),
		"Internal":      apitest.Answer(500),
		"Unavailable":   apitest.Answer(503),
		"BrokenOff":     func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
		"NoJSON":        func(w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, "<html>"); return true },
		"ForeverConflict": func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPatch && apitest.Answer(409)(w, r)
		},
		"Slow": func(_ http.ResponseWriter, r *http.Request) bool {
			select {
			case <-slow:
			case <-r.Context().Done():
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.Fail(fault)
			const pods = 30
			begun := time.Now()
			for i := range pods {
				pod := fmt.Sprint("web", i)
				r.PutPod("prod", pod, "uid-"+pod, nil)
				r.Settled(attached(pod, 1))
				r.Settled(attached(pod, 2))
			}
			r.Settled(attached("gone", 1))
			r.Ended(sandboxOf("gone"))
			r.Refused(hooks.Refusal{Namespace: "prod", Name: "db", UID: "u", Reason: hooks.NoFreeVF, Err: errors.New("no VF free")})
			if took := time.Since(begun); took > time.Second {
				t.Errorf("what was said took %v", took)
			}
			time.Sleep(50 * time.Millisecond)
			if name == "Slow" {
				close(slow)
			}
			r.Fail(nil)
			r.told()
			for i := range pods {
				if is := r.Annotation("prod", fmt.Sprint("web", i), status.Annotation); !strings.Contains(is, "02:00:00:00:00:02") {
					t.Errorf("pod %d shows %q", i, is)
				}
			}
			givesUp := name == "Forbidden" || name == "Unprocessable"
			if all := r.Server.Events(); !givesUp && len(all) != 1 {
				t.Errorf("said %+v", all)
			}
		})
	}
}

// TestTaintGoesThroughTheQueue and ends with it.
func TestTaintGoesThroughTheQueue(t *testing.T) {
	r := newRoom(t)
	r.PutNode("n1")
	r.Taint(true)
	r.told()
	if taints := r.Taints("n1"); len(taints) != 1 {
		t.Errorf("taints %v", taints)
	}
}

// TestFlush: a daemon that cannot start says so before it ends, and does not hang where nobody listens.
func TestFlush(t *testing.T) {
	r := newRoom(t)
	r.end()
	r.NodeEvent("Warning", report.ConfigRefused, "config.yaml:3: unknown key")
	r.Flush(t.Context())
	if all := r.Server.Events(); len(all) != 1 {
		t.Errorf("said %+v", all)
	}
	r.Fail(apitest.Answer(503))
	r.NodeEvent("Warning", report.ConfigRefused, "another")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r.Flush(ctx)
}

// TestEntryIsValidJSON of the standard's form.
func TestEntryIsValidJSON(t *testing.T) {
	r := newRoom(t)
	r.PutPod("prod", "dpdk", "uid-dpdk", nil)
	one := attached("dpdk", 0)
	one.Attachments[0].Device, one.Attachments[0].VhostNet = "vfio", true
	one.Attachments[0].Ports[0].MAC = vf.MAC{}
	one.Attachments[0].Settings.MAC = vf.MAC{2, 0, 0, 0, 0, 9}
	r.Settled(one)
	r.told()
	var list []map[string]any
	if err := json.Unmarshal([]byte(r.Annotation("prod", "dpdk", status.Annotation)), &list); err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	text, err := json.Marshal(list[0]["device-info"])
	if err != nil {
		t.Fatal(err)
	}
	if list[0]["mac"] != "02:00:00:00:00:09" || list[0]["interface"] != "net1" || list[0]["sriov.nri.io/sandbox"] != "/run/netns/dpdk" ||
		string(text) != `{"pci":{"pci-address":"0000:01:10.0","pf-pci-address":"0000:01:00.0","vhost-net":"/dev/vhost-net"},"type":"pci","version":"1.1.0"}` {
		t.Errorf("is %v, %s", list[0], text)
	}
}
