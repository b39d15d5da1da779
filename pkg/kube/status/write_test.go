package status_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/kube/api"
	"github.com/nri-sriov/nri-sriov/pkg/kube/apitest"
	"github.com/nri-sriov/nri-sriov/pkg/kube/queue"
	"github.com/nri-sriov/nri-sriov/pkg/kube/status"
)

const path = "/api/v1/namespaces/prod/pods/web"

var (
	web  = status.Pod{Namespace: "prod", Name: "web", UID: "11111111-0000-0000-0000-000000000001"}
	mine = []status.Entry{{Name: status.NameOf("public"), Interface: "net1"}}
)

func newClient(t *testing.T, s *apitest.Server) *api.Client {
	t.Helper()
	client, err := api.New(s.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// TestWrite: beside Multus' entry, through the status, once.
func TestWrite(t *testing.T) {
	s := apitest.New(t)
	client := newClient(t, s)
	s.PutPod("prod", "web", web.UID, map[string]string{status.Annotation: `[{"name":"cbr0","default":true}]`, "other": "stays"})
	for range 2 {
		if err := status.Write(t.Context(), client, web, mine); err != nil {
			t.Fatal(err)
		}
	}
	want := `[{"name":"cbr0","default":true},{"name":"sriov.nri.io/public","interface":"net1","dns":{}}]`
	if is := s.Annotation("prod", "web", status.Annotation); is != want {
		t.Errorf("is %s", is)
	}
	if s.Annotation("prod", "web", "other") != "stays" {
		t.Error("another annotation was touched")
	}
	if asked := strings.Join(s.Requests(), ", "); asked != "GET "+path+", PATCH "+path+"/status, GET "+path {
		t.Errorf("asked %s", asked)
	}
	if err := status.Write(t.Context(), client, web, nil); err != nil {
		t.Fatal(err)
	}
	if is := s.Annotation("prod", "web", status.Annotation); is != `[{"name":"cbr0","default":true}]` {
		t.Errorf("taken away, it is %s", is)
	}
}

// TestWriteConflict: what somebody else wrote meanwhile is not written over.
func TestWriteConflict(t *testing.T) {
	s := apitest.New(t)
	client := newClient(t, s)
	s.PutPod("prod", "web", web.UID, nil)
	s.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			s.Fail(nil)
			s.PutPod("prod", "web", web.UID, map[string]string{status.Annotation: `[{"name":"prod/late"}]`})
		}
		return false
	})
	err := status.Write(t.Context(), client, web, mine)
	if fault, _ := api.FaultOf(err); err == nil || fault != api.Conflict {
		t.Fatalf("no conflict: %v", err)
	}
	if err := status.Write(t.Context(), client, web, mine); err != nil {
		t.Fatal(err)
	}
	if is := s.Annotation("prod", "web", status.Annotation); !strings.HasPrefix(is, `[{"name":"prod/late"},{"name":"sriov.nri.io/public"`) {
		t.Errorf("is %s", is)
	}
}

// TestWriteToAnotherPod: the name alone makes no pod ours.
func TestWriteToAnotherPod(t *testing.T) {
	s := apitest.New(t)
	client := newClient(t, s)
	s.PutPod("prod", "web", "22222222-0000-0000-0000-000000000002", nil)
	err := status.Write(t.Context(), client, web, mine)
	if fault, _ := api.FaultOf(err); err == nil || fault != api.Missing {
		t.Errorf("of another UID: %v", err)
	}
	s.DeletePod("prod", "web")
	err = status.Write(t.Context(), client, web, mine)
	if fault, _ := api.FaultOf(err); err == nil || fault != api.Missing {
		t.Errorf("gone: %v", err)
	}
	for _, one := range s.Requests() {
		if strings.HasPrefix(one, "PATCH") {
			t.Errorf("asked %s", one)
		}
	}
}

// TestWriteStaticPod: its object comes late, and bears the pod's UID as an annotation only.
func TestWriteStaticPod(t *testing.T) {
	s := apitest.New(t)
	client := newClient(t, s)
	static := status.Pod{Namespace: "prod", Name: "web", UID: "0123456789abcdef0123456789abcdef"}
	if err := status.Write(t.Context(), client, static, mine); !errors.Is(err, queue.ErrNotYet) {
		t.Fatalf("before its mirror is there: %v", err)
	}
	s.PutPod("prod", "web", "33333333-0000-0000-0000-000000000003", map[string]string{"kubernetes.io/config.mirror": static.UID})
	if err := status.Write(t.Context(), client, static, mine); err != nil || s.Annotation("prod", "web", status.Annotation) == "" {
		t.Fatalf("its mirror: %v", err)
	}
}

// TestWriteMalformed: what is no list is left alone.
func TestWriteMalformed(t *testing.T) {
	s := apitest.New(t)
	client := newClient(t, s)
	s.PutPod("prod", "web", web.UID, map[string]string{status.Annotation: "{broken"})
	if err := status.Write(t.Context(), client, web, mine); !errors.Is(err, status.ErrMalformed) {
		t.Errorf("said %v", err)
	}
	if is := s.Annotation("prod", "web", status.Annotation); is != "{broken" {
		t.Errorf("is %s", is)
	}
}
