package api_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/client-go/rest"

	"github.com/nri-sriov/nri-sriov/pkg/kube/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func client(t *testing.T, host string) *api.Client {
	t.Helper()
	c, err := api.New(&rest.Config{Host: host, BearerToken: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestFaults: what an answer says about trying again, and in which words.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		code             int
		retryAfter, body string
		fault            api.Fault
		wants            time.Duration
		says             string
	}{
		"too many":       {429, "7", `{"kind":"Status","message":"slow down"}`, api.Away, 7 * time.Second, "429: slow down"},
		"ages":           {503, "99999999", "", api.Away, 5 * time.Minute, "503: Service Unavailable"},
		"a date":         {503, "Wed, 21 Oct 2026 07:28:00 GMT", "", api.Away, 0, "503"},
		"a proxy's page": {502, "", "<html>Bad Gateway", api.Away, 0, "502: Bad Gateway"},
		"not us":         {401, "", "", api.Away, 0, "401"},
		"forbidden":      {403, "", `{"kind":"Status","message":"pods is\nforbidden"}`, api.Refused, 0, "403: pods is forbidden"},
		"conflict":       {409, "", "", api.Conflict, 0, "409"},
		"missing":        {404, "", "", api.Missing, 0, "404"},
		"invalid":        {422, "", `{"kind":"Status","message":"` + strings.Repeat("x", 5000) + `"}`, api.Refused, 0, "…"},
		"other JSON":     {400, "", `{"message":"not a status"}`, api.Refused, 0, "400: Bad Request"},
		"moved":          {304, "", "", api.Refused, 0, "304"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer secret" {
					t.Error("without the token")
				}
				w.Header().Set("Retry-After", c.retryAfter)
				w.WriteHeader(c.code)
				_, _ = w.Write([]byte(c.body)) // 304 has no body
			}))
			defer server.Close()
			err := client(t, server.URL).Read(t.Context(), api.Path("nodes", "n1"), nil)
			fault, wants := api.FaultOf(err)
			if err == nil || fault != c.fault || wants != c.wants || api.Code(err) != c.code {
				t.Fatalf("is %v %v: %v", fault, wants, err)
			}
			if text := err.Error(); !strings.Contains(text, c.says) || len(text) > 700 || strings.Contains(text, "\n") || strings.Contains(text, "secret") {
				t.Errorf("says %s", text)
			}
		})
	}
}

// TestNobodyThere: no connection, and an answer that never comes, are a server that is away.
func TestNobodyThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, "http://"+listener.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = c.Create(ctx, api.Path("nodes"), map[string]string{"kind": "Node"}, nil)
	if fault, _ := api.FaultOf(err); err == nil || fault != api.Away {
		t.Errorf("without an answer: %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	err = c.Read(t.Context(), api.Path("nodes", "n1"), nil)
	if fault, _ := api.FaultOf(err); err == nil || fault != api.Away {
		t.Errorf("without a listener: %v", err)
	}
}

// TestPath: a name from outside stays one part of the path.
func TestPath(t *testing.T) {
	if path := api.Path("namespaces", "a/../b?c", "pods", "x y"); path != "/api/v1/namespaces/a%2F..%2Fb%3Fc/pods/x%20y" {
		t.Error(path)
	}
}

// TestConfig: a kubeconfig that is not there, or no cluster around, is said.
func TestConfig(t *testing.T) {
	if _, err := api.Config("/none"); err == nil || !strings.Contains(err.Error(), "/none") {
		t.Errorf("says %v", err)
	}
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		t.Setenv("KUBERNETES_SERVICE_HOST", "")
	}
	if _, err := api.Config(""); err == nil {
		t.Error("finds an API server where there is none")
	}
}
