package taint_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nri-sriov/nri-sriov/pkg/kube/api"
	"github.com/nri-sriov/nri-sriov/pkg/kube/apitest"
	"github.com/nri-sriov/nri-sriov/pkg/kube/queue"
	"github.com/nri-sriov/nri-sriov/pkg/kube/taint"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	others = `{"effect":"NoExecute","key":"a","timeAdded":"2026-01-01T00:00:00Z"}`
	later  = `{"effect":"NoSchedule","future":[1],"key":"b"}`
	ours   = `{"effect":"NoSchedule","key":"sriov.nri.io/not-ready"}`
	same   = `{"effect":"NoExecute","key":"sriov.nri.io/not-ready","value":"an-admin's"}`
)

// start runs a tainter of node n1.
func start(t *testing.T, s *apitest.Server) *taint.Tainter {
	t.Helper()
	client, err := api.New(s.Config())
	if err != nil {
		t.Fatal(err)
	}
	times := queue.Times{First: time.Millisecond, Most: 4 * time.Millisecond, Refused: time.Millisecond, MostRefused: 4 * time.Millisecond}
	q := queue.New(queue.Options{Workers: 2, Times: times})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		q.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended; client.Close() })
	return taint.New(client, q, "n1")
}

func eventually(t *testing.T, s *apitest.Server, want ...string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !slices.Equal(s.Taints("n1"), want); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the node has the taints %v, not %v", s.Taints("n1"), want)
		}
	}
}

// TestTaint: it comes and goes, and those of others stay in their order, with what we do not know of.
func TestTaint(t *testing.T) {
	s := apitest.New(t)
	s.PutNode("n1", others, same, later)
	tainter := start(t, s)
	tainter.Want(true)
	eventually(t, s, others, same, later, ours)
	tainter.Want(false)
	eventually(t, s, others, same, later)
	s.PutNode("n1")
	tainter.Want(true)
	eventually(t, s, ours)
	tainter.Want(false)
	eventually(t, s)
}

// TestTaintOfAnEarlierDaemon: one that is not wanted any more is taken away, and a node without it is not written to.
func TestTaintOfAnEarlierDaemon(t *testing.T) {
	s := apitest.New(t)
	s.PutNode("n1", ours, others)
	tainter := start(t, s)
	tainter.Want(false)
	eventually(t, s, others)
	asked := len(s.Requests())
	for range 10 {
		tainter.Want(false)
	}
	time.Sleep(20 * time.Millisecond)
	if more := s.Requests()[asked:]; len(more) != 0 {
		t.Errorf("asked for what is true: %v", more)
	}
}

// wantUntil calls Want as the daemon does, until the node has these taints.
func wantUntil(t *testing.T, s *apitest.Server, tainter *taint.Tainter, tainted bool, want ...string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !slices.Equal(s.Taints("n1"), want); time.Sleep(time.Millisecond) {
		if tainter.Want(tainted); time.Now().After(end) {
			t.Fatalf("the node has the taints %v, not %v", s.Taints("n1"), want)
		}
	}
}

// TestTaintOfANodeThatComesLater: a daemon may be there before its Node is, and a Node may be registered anew without the
// taint, or with it by the kubelet's own flag. Somebody else may take it away, too.
func TestTaintOfANodeThatComesLater(t *testing.T) {
	s := apitest.New(t)
	tainter := start(t, s)
	taint.Hasten(tainter)
	tainter.Want(true)
	for end := time.Now().Add(5 * time.Second); len(s.Requests()) == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	s.PutNode("n1", others)
	wantUntil(t, s, tainter, true, others, ours)
	s.PutNode("n1", later)
	wantUntil(t, s, tainter, true, later, ours)
	wantUntil(t, s, tainter, false, later)
	s.PutNode("n1", ours)
	wantUntil(t, s, tainter, false)
}

// TestTaintIsReadNotWritten where the node is as it should be.
func TestTaintIsReadNotWritten(t *testing.T) {
	s := apitest.New(t)
	s.PutNode("n1", ours)
	tainter := start(t, s)
	taint.Hasten(tainter)
	for end := time.Now().Add(5 * time.Second); len(s.Requests()) < 4; time.Sleep(time.Millisecond) {
		if tainter.Want(true); time.Now().After(end) {
			t.Fatalf("asked %v", s.Requests())
		}
	}
	for _, one := range s.Requests() {
		if !strings.HasPrefix(one, "GET ") {
			t.Errorf("asked %s", one)
		}
	}
}

// TestTaintConflict: what somebody else puts on the node meanwhile is not written over, and the last word counts.
func TestTaintConflict(t *testing.T) {
	s := apitest.New(t)
	s.PutNode("n1")
	var patches atomic.Int32
	s.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && patches.Add(1) == 1 {
			s.PutNode("n1", others)
		}
		return false
	})
	tainter := start(t, s)
	tainter.Want(true)
	eventually(t, s, others, ours)
	if patches.Load() != 2 {
		t.Errorf("%d patches: %v", patches.Load(), s.Requests())
	}
	s.Fail(apitest.Answer(403))
	tainter.Want(false)
	tainter.Want(true)
	tainter.Want(false)
	s.Fail(nil)
	eventually(t, s, others)
	if !strings.HasPrefix(s.Requests()[0], "GET /api/v1/nodes/n1") {
		t.Error(s.Requests())
	}
}
