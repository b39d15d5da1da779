package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// podNumber tells pods of one name apart, whose logs would else go on in the same file.
var podNumber atomic.Int64

// pod runs a sandbox that asks for networks, in namespace prod; no text is no annotation.
func (s *subject) pod(name, networks string) (string, error) {
	pod := lab.Pod{Name: name, Namespace: "prod", UID: fmt.Sprintf("%s-%d", name, podNumber.Add(1)), Annotations: map[string]string{}}
	if networks != "" {
		pod.Annotations["sriov.nri.io/networks"] = networks
	}
	return s.runPod(pod)
}

func (s *subject) runPod(pod lab.Pod) (string, error) {
	id, err := s.cri.RunPod(s.T.Context(), pod)
	if err == nil {
		s.pods = append(s.pods, id)
	}
	return id, err
}

// ask runs a pod that is to be refused, and answers what is said. That is said of the sandbox; but a runtime that leaks
// refused sandboxes hears it at the first container, and nothing is left when the sandbox is removed.
func (s *subject) ask(pod lab.Pod) error {
	s.T.Helper()
	id, err := s.cri.RunPod(s.T.Context(), pod)
	if err != nil {
		if s.leaksRefused() {
			s.T.Errorf("containerd %s was told a refusal that it leaks the sandbox of: %v", s.ContainerdVersion(), err)
		}
		return err
	}
	if s.leaksRefused() {
		_, err = s.cri.StartIn(s.T.Context(), id, "app")
	}
	s.remove(id)
	return err
}

// askFor is ask for a pod in namespace prod.
func (s *subject) askFor(name, networks string) error {
	s.T.Helper()
	return s.ask(lab.Pod{Name: name, Namespace: "prod", Annotations: map[string]string{"sriov.nri.io/networks": networks}})
}

// leaksRefused tells whether the guest's containerd keeps a sandbox that a plugin refuses (containerd#13609).
func (s *subject) leaksRefused() bool {
	v := s.ContainerdVersion()
	return v.Major == 2 && (v.Minor < 2 || v.Minor == 2 && v.Patch < 6 || v.Minor == 3 && v.Patch < 3)
}

// mustPod runs a sandbox and a container in it, and answers both ids.
func (s *subject) mustPod(name, networks string) (sandbox, container string) {
	s.T.Helper()
	sandbox, err := s.pod(name, networks)
	s.must(err)
	return sandbox, s.container(sandbox, "app")
}

// container starts a container that must come up.
func (s *subject) container(sandbox, name string) string {
	s.T.Helper()
	id, err := s.tryContainer(sandbox, name)
	s.must(err)
	return id
}

// tryContainer starts a container as the kubelet does: it asks again while the gate says that the work goes on.
func (s *subject) tryContainer(sandbox, name string) (string, error) {
	deadline := time.Now().Add(time.Minute)
	for {
		id, err := s.cri.StartIn(s.T.Context(), sandbox, name)
		if err == nil || !strings.Contains(err.Error(), "the container is tried again") || time.Now().After(deadline) {
			return id, err
		}
	}
}

func (s *subject) removeAll() {
	s.T.Helper()
	for _, id := range s.pods {
		s.remove(id)
	}
	s.pods = nil
}

func (s *subject) remove(id string) {
	s.T.Helper()
	if err := s.cri.StopPod(s.ctx(), id); err != nil {
		s.T.Error(err)
	}
	if err := s.cri.RemovePod(s.ctx(), id); err != nil {
		s.T.Error(err)
	}
}

// exec runs a program in a container.
func (s *subject) exec(container string, argv ...string) string {
	s.T.Helper()
	output, err := s.cri.Exec(s.T.Context(), container, argv...)
	if err != nil {
		s.T.Fatal(err)
	}
	return strings.TrimSpace(output.Stdout)
}

// pings waits until a container reaches an address; the first frames may be lost while a VF gets its carrier.
func (s *subject) pings(container, address string) {
	s.T.Helper()
	err := lab.Eventually(s.T.Context(), 30*time.Second, func(ctx context.Context) error {
		_, err := s.cri.Exec(ctx, container, "ping", "-c", "1", "-W", "1", address)
		return err
	})
	if err != nil {
		s.T.Error(err)
	}
}

// silent checks that a container does not reach an address.
func (s *subject) silent(container, address string) {
	s.T.Helper()
	if output, err := s.cri.Exec(s.T.Context(), container, "ping", "-c", "2", "-W", "1", address); err == nil {
		s.T.Errorf("%s answers where it must not: %s", address, output.Stdout)
	}
}

// refused checks that an error has the sentence of the contract in it, and that nothing was claimed or changed.
func (s *subject) refused(err error, sentence string) {
	s.T.Helper()
	if err == nil {
		s.T.Errorf("nothing was refused; wanted %q", sentence)
		return
	}
	if !strings.Contains(err.Error(), sentence) {
		s.T.Errorf("the refusal is\n%v\nand lacks\n%s", err, sentence)
	}
}
