package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// pod is one that no node can take, because there is none.
const pod = `{apiVersion: v1, kind: Pod, metadata: {name: %s}, spec: {containers: [{name: c, image: none.invalid/none}]}}`

// TestControlPlane needs no guest: the scheduler says why a pod waits, what is there survives the API server's end, and
// nothing is left at the end.
func TestControlPlane(t *testing.T) {
	lab.Require(t)
	kubernetes, err := lab.PrepareKubernetes(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	p, err := StartControlPlane(t.Context(), kubernetes.Dir, filepath.Join(t.TempDir(), "c"), "node-1")
	if err != nil {
		t.Fatal(err)
	}
	components := append([]*component(nil), p.components...)
	version := struct{ ServerVersion, ClientVersion struct{ GitVersion string } }{}
	if err := p.Kubectl().JSON(t.Context(), &version, "version"); err != nil {
		t.Error(err)
	} else if s, c := version.ServerVersion.GitVersion, version.ClientVersion.GitVersion; s != kubernetes.Version || c != s {
		t.Errorf("the server is of %q, kubectl of %q; both should be of %s", s, c, kubernetes.Version)
	}
	if err := p.Kubectl().Apply(t.Context(), fmt.Sprintf(pod, "first")); err != nil {
		t.Fatal(err)
	}
	waits := func(name string) {
		t.Helper()
		err := lab.Eventually(t.Context(), time.Minute, func(ctx context.Context) error {
			text, err := p.Kubectl().Do(ctx, "describe", "pod", name)
			if err == nil && !strings.Contains(text, "no nodes available to schedule pods") {
				err = errors.New(text)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	waits("first")
	if err := p.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	if text, err := p.Kubectl().Do(t.Context(), "get", "pods"); err == nil {
		t.Errorf("without an API server kubectl prints %s", text)
	}
	if err := p.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Kubectl().Apply(t.Context(), fmt.Sprintf(pod, "second")); err != nil {
		t.Fatal(err)
	}
	waits("second")
	waits("first")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for _, c := range components {
		if c.running() == nil {
			t.Errorf("%s still runs", c.name)
		}
	}
}
