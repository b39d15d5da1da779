package main

import (
	"os"
	"strings"
	"testing"
)

// TestKubernetesIsOnByItself in a pod of a cluster and with --kubeconfig, unless it is turned off.
func TestKubernetesIsOnByItself(t *testing.T) {
	for _, c := range []struct {
		args          []string
		service, file bool
		want          bool
		problem       string
	}{
		{nil, false, false, false, ""},
		{nil, true, true, true, ""},
		{nil, true, false, false, ""},
		{nil, false, true, false, ""},
		{[]string{"--kubernetes"}, false, false, true, ""},
		{[]string{"--kubernetes=false"}, true, true, false, ""},
		{[]string{"--kubeconfig", "/k"}, false, false, true, ""},
		{[]string{"--kubernetes=false", "--kubeconfig", "/k"}, false, false, false, "contradict each other"},
		{[]string{"--kubernetes", "--node-name", "Node_1"}, false, false, true, `--node-name "Node_1" is not the name of a node`},
		{[]string{"--kubelet-dir", "kubelet"}, false, false, false, `--kubelet-dir "kubelet" is not an absolute path`},
	} {
		var k kubernetesFlags
		cmd := newRun()
		cmd.ResetFlags()
		k.add(cmd)
		if err := cmd.ParseFlags(c.args); err != nil {
			t.Fatal(err)
		}
		lookup := func(name string) string {
			if c.service && name == "KUBERNETES_SERVICE_HOST" {
				return "10.0.0.1"
			}
			return ""
		}
		err := k.check(lookup, func(path string) bool { return c.file && path == serviceAccount })
		switch {
		case c.problem != "":
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%v: %v, wanted %q", c.args, err, c.problem)
			}
		case err != nil || k.Enabled != c.want:
			t.Errorf("%v: on %v, %v", c.args, k.Enabled, err)
		}
	}
}

// TestNodeName is the host's, as the kubelet makes it, when nothing is said.
func TestNodeName(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{"": strings.ToLower(host), "--node-name=node-7.example": "node-7.example"} {
		var k kubernetesFlags
		cmd := newRun()
		cmd.ResetFlags()
		k.add(cmd)
		if err := cmd.ParseFlags(append(strings.Fields(args), "--kubernetes")); err != nil {
			t.Fatal(err)
		}
		if err := k.check(func(string) string { return "" }, func(string) bool { return false }); err != nil || k.NodeName != want {
			t.Errorf("%q: %q, %v", args, k.NodeName, err)
		}
	}
}
