package k8s

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/cluster"
)

// admits is the API server's answer to a pod: "" when it is admitted, else what the policy says.
func (s *subject) admits(pod cluster.Pod) string {
	s.Helper()
	pod.Name = "asks"
	_, err := s.Feed(s.ctx(), s.imaged(pod).Manifest(), "create", "--dry-run=server", "-f", "-")
	if exit := (*cluster.ExitError)(nil); errors.As(err, &exit) && strings.Contains(exit.Stderr, "ValidatingAdmissionPolicy") {
		return exit.Stderr
	}
	s.must(err)
	return ""
}

// annotated is a pod with this text in its annotation.
func annotated(namespace, text string) cluster.Pod {
	return cluster.Pod{Namespace: namespace, Annotations: map[string]string{cluster.Networks: text}}
}

// testAdmission: the API server itself refuses what no node could serve, before it is scheduled; with what is malformed it does
// not wait for the ConfigMap of networks.
func testAdmission(s *subject) {
	s.Cleanup(func() {
		_, err := s.Do(s.ctx(), "--namespace", cluster.Namespace, "delete", "configmap", "nri-sriov-networks", "--ignore-not-found")
		s.check(err)
		_, err = s.Do(s.ctx(), "delete", "namespace", "team-a", "--ignore-not-found", "--wait=false")
		s.check(err)
	})
	_, err := s.Do(s.ctx(), "create", "namespace", "team-a")
	s.must(err)
	type question struct{ namespace, text, refusal string }
	ask := func(questions ...question) {
		for _, each := range questions {
			said := s.admits(annotated(each.namespace, each.text))
			if each.refusal == "" && said != "" || !strings.Contains(said, each.refusal) {
				s.Errorf("%.40q in namespace %s is not answered with %q: %s", each.text, each.namespace, each.refusal, said)
			}
		}
	}
	malformed := []question{
		{"default", "public@eth1, other", ""},
		{"default", "- public@eth1\n- {network: other, count: 2} # two\n", ""},
		{"default", "public,\n  other # and more\n", ""},
		{"default", `[{network: public, ips: ["192.0.2.10/24"]}]`, ""},
		{"default", "", "is empty"},
		{"default", "public@" + strings.Repeat("x", 16), "malformed"},
		{"default", "- network: public\n  vlan: 5\n", "unknown key vlan"},
		{"default", strings.Repeat("public,", 3000) + "public", "16 KiB"},
		{"default", strings.Repeat("\n", 16384-6) + "public", ""},
	}
	ask(malformed...)
	ask(question{"default", "nosuch", ""}) // nobody has said who may use what
	for value, refused := range map[string]bool{"isolate": false, "both": true} {
		pod := annotated("default", "public")
		pod.Annotations["sriov.nri.io/group-policy"] = value
		said := s.admits(pod)
		if strings.Contains(said, "group-policy") != refused {
			s.Errorf("group-policy %s is answered with %q", value, said)
		}
	}

	// The daemon makes what the policy needs to know, from the config.
	params, err := s.CLI(s.ctx(), s.node(0), "networks", "/etc/nri-sriov/config.yaml")
	s.must(err)
	s.must(s.Apply(s.ctx(), params))
	// The API server learns of the ConfigMap a little later.
	s.eventually(time.Minute, func(context.Context) error {
		if s.admits(annotated("default", "nosuch")) == "" {
			return errors.New("a network that no node has is admitted")
		}
		return nil
	})
	ask(malformed...)
	ask(
		question{"team-a", "private", ""},
		question{"default", "private", "may not use private"},
		question{"default", "- network: private\n", "may not use private"},
		question{"default", "public, # all\nprivate # few\n", "may not use private"},
		question{"default", "nosuch", "may not use nosuch"},
	)
	for namespace, refusal := range map[string]string{"team-a": "", "default": "may not use private"} {
		said := s.admits(cluster.Pod{Namespace: namespace, Devices: map[string]int{"public": 1, "private": 1}})
		if refusal == "" && said != "" || !strings.Contains(said, refusal) {
			s.Errorf("resources in namespace %s are not answered with %q: %s", namespace, refusal, said)
		}
	}
	// It is about pods that ask; nobody else waits for it.
	if said := s.admits(cluster.Pod{Resources: map[string]string{"cpu": "10m"}}); said != "" {
		s.Error(said)
	}
	// The API server has looked at the types, too.
	warnings, err := s.Do(s.ctx(), "get", "validatingadmissionpolicies", "-o", "jsonpath={range .items[*]}{.metadata.name} {.status.typeChecking.expressionWarnings}{end}")
	s.must(err)
	if strings.Contains(warnings, "fieldRef") || !strings.Contains(warnings, "nri-sriov-networks") {
		s.Error(warnings)
	}
}

// testNodeGuard: with the account of one node's daemon, nothing of another node is changed, and little of its own.
func testNodeGuard(s *subject) {
	if len(s.nodes) < 2 {
		s.Skip("needs two nodes")
	}
	pods := []cluster.Pod{cluster.WithVF("own", s.node(0), "public", ""), cluster.WithVF("foreign", s.node(1), "public", "")}
	s.create(pods...)
	s.running(pods...)
	daemon, err := s.Daemon(s.ctx(), s.node(0))
	s.must(err)
	token, err := s.Do(s.ctx(), "--namespace", cluster.Namespace, "create", "token", "nri-sriov", "--bound-object-kind=Pod", "--bound-object-name="+daemon)
	s.must(err)
	token = strings.TrimSpace(token)
	patch := func(path, text string) string {
		refusal, err := s.MergePatch(s.ctx(), token, path, text)
		s.must(err)
		return refusal
	}
	const nodes, own, foreign = "/api/v1/nodes/", "/api/v1/namespaces/default/pods/own", "/api/v1/namespaces/default/pods/foreign/status"
	const annotate, label = `{"metadata":{"annotations":{"example.com/a":"b"}}}`, `{"metadata":{"labels":{"example.com/a":"b"}}}`
	const taint = `{"spec":{"taints":[{"key":"example.com/a","effect":"PreferNoSchedule"}]}}`
	s.Cleanup(func() {
		_, err := s.Do(s.ctx(), "taint", "node", s.node(0), "example.com/a-")
		s.check(err)
	})
	for what, each := range map[string]struct{ said, refusal string }{ // no refusal where it is allowed
		"own node's taint":         {patch(nodes+s.node(0), taint), ""},
		"own node's label":         {patch(nodes+s.node(0), label), "the taints of its node"},
		"another node's taint":     {patch(nodes+s.node(1), taint), "its own node only"},
		"own pod's annotation":     {patch(own+"/status", annotate), ""},
		"own pod's status":         {patch(own+"/status", `{"status":{"reason":"Made up"}}`), "the annotations of a pod"},
		"another pod's annotation": {patch(foreign, annotate), "the pods of its own node only"},
		"a pod's spec":             {patch(own, `{"spec":{"activeDeadlineSeconds":1}}`), "cannot patch resource"},
	} {
		if each.refusal == "" && each.said != "" || !strings.Contains(each.said, each.refusal) {
			s.Errorf("%s is not answered with %q: %s", what, each.refusal, each.said)
		}
	}
}
