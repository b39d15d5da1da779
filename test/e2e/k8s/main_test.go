// Package k8s drives nri-sriov in a Kubernetes, as its users do: with kubectl, and the DaemonSet of configs/kubernetes.
//
// With NRI_SRIOV_LAB=1 the cluster is the lab's: two nodes on one wire. With NRI_SRIOV_KUBECONFIG it is any other, on which
// nri-sriov is installed with the networks of testdata/config.yaml on two PFs or more; what needs hands on the nodes
// themselves is left out there. NRI_SRIOV_K8S_IMAGE is an image with the commands of busybox for that cluster's pods, if not
// busybox itself.
package k8s

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/cluster"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

const (
	kubeconfigEnv = "NRI_SRIOV_KUBECONFIG"
	imageEnv      = "NRI_SRIOV_K8S_IMAGE"
	busybox       = "busybox:1.37"
)

// Limits for what takes seconds on idle nodes.
const (
	startLimit = 4 * time.Minute
	endLimit   = 3 * time.Minute
)

//go:embed testdata/config.yaml
var config string

// VFs that testdata/config.yaml offers on each of the lab's nodes: the networks public, other and fast draw on those of one PF,
// scarce has two of its own.
const (
	many   = lab.DefaultVFs
	scarce = 2
)

// suite is a cluster with nri-sriov, for all cases.
type suite struct {
	*cluster.Kubectl
	lab   *cluster.Cluster // nil when the cluster is not the lab's
	nodes []string
	image string
}

// cases are run in this order, on one cluster. Each leaves every VF free.
var cases = []struct {
	name string
	// hands tells that the case needs the nodes themselves, and not only the API server.
	hands bool
	run   func(*subject)
}{
	{"plain pod", false, testPlainPod},
	{"allocatable", false, testAllocatable},
	{"metrics", true, testMetrics},
	{"the VF that the kubelet gave", true, testKubeletsVF},
	{"resource alone", false, testResourceAlone},
	{"ping", false, testPing},
	{"pending", false, testPending},
	{"annotation only", false, testAnnotationOnly},
	{"two networks at once", false, testTwoNetworksAtOnce},
	{"kubelet restarted", true, testKubeletRestarted},
	{"another device plugin", true, testOtherPlugin},
	{"sriov-cni beside it", true, testSRIOVCNI},
	{"network-status", false, testNetworkStatus},
	{"Multus", false, testMultus},
	{"Events", false, testEvents},
	{"DPDK", true, testDPDK},
	{"API server away", true, testAPIServerAway},
	{"API server frozen", true, testAPIServerFrozen},
	{"API server refuses", false, testAPIServerRefuses},
	{"StatefulSet", false, testStatefulSet},
	{"force", false, testForce},
	{"drain", false, testDrain},
	{"upgrade", false, testUpgrade},
	{"daemon away", true, testDaemonAway},
	{"taint", true, testTaint},
	{"config", true, testConfig},
	{"admission", false, testAdmission},
	{"node guard", false, testNodeGuard},
}

func TestKubernetes(t *testing.T) {
	s := start(t)
	for _, each := range cases {
		t.Run(each.name, func(t *testing.T) {
			if each.hands && s.lab == nil {
				t.Skipf("needs hands on the nodes, which only the lab's cluster gives: unset %s", kubeconfigEnv)
			}
			each.run(s.subject(t))
		})
	}
}

func start(t *testing.T) *suite {
	t.Helper()
	if file := os.Getenv(kubeconfigEnv); file != "" {
		return other(t, file)
	}
	lab.Require(t)
	logs := lab.LogFolder(t)
	c, _, err := cluster.StartInstalled(t.Context(), config, logs, os.Stderr)
	if err != nil {
		t.Fatalf("%v; the logs are in %s", err, logs)
	}
	t.Cleanup(func() { finish(t, c, logs) })
	s := &suite{Kubectl: c.Kubectl(), lab: c, image: lab.Image}
	for _, node := range c.Nodes {
		s.nodes = append(s.nodes, node.Name)
	}
	return s
}

// finish keeps the logs of a failed test, and ends the cluster.
func finish(t *testing.T, c *cluster.Cluster, logs string) {
	if !t.Failed() {
		if err := c.Close(); err != nil {
			t.Error(err)
			return
		}
		_ = os.RemoveAll(logs) // a leftover is no harm
		return
	}
	// The test's own context has ended by now.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	t.Logf("the cluster's logs are in %s: %v", logs, errors.Join(c.Collect(ctx), c.Close()))
}

// other is a cluster that somebody else has made, with those of its nodes that have the network public.
func other(t *testing.T, kubeconfig string) *suite {
	t.Helper()
	program, err := exec.LookPath("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	file, err := filepath.Abs(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{Kubectl: &cluster.Kubectl{Program: program, Kubeconfig: file}, image: cmp.Or(os.Getenv(imageEnv), busybox)}
	names, err := s.Do(t.Context(), "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}")
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range strings.Fields(names) {
		count, err := s.Allocatable(t.Context(), node, "public")
		if err != nil {
			t.Fatal(err)
		}
		if count > 0 {
			s.nodes = append(s.nodes, node)
		}
	}
	if len(s.nodes) == 0 {
		t.Fatalf("no node of %s has the resource %s", file, cluster.Resource("public"))
	}
	return s
}

// node is one of the nodes, the same one again where there are fewer.
func (s *suite) node(n int) string { return s.nodes[n%len(s.nodes)] }

// subject is a cluster in the hands of one case.
type subject struct {
	*suite
	*testing.T
	pods []cluster.Pod // to be removed at the end
}

func (s *suite) subject(t *testing.T) *subject {
	one := &subject{suite: s, T: t}
	t.Cleanup(one.clean)
	return one
}

// ctx outlives the case, for what is to be ended after it.
func (s *subject) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.Context()), 10*time.Minute)
	s.T.Cleanup(cancel)
	return ctx
}

func (s *subject) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// clean removes the case's pods and waits until every VF is free.
func (s *subject) clean() {
	ctx := s.ctx()
	s.remove(slices.Clone(s.pods)...) // removing shortens the list
	for _, node := range s.nodes {
		if err := s.AwaitFree(ctx, endLimit, node); err != nil {
			s.Error(err)
		}
	}
}

// remove deletes pods and waits until they are gone.
func (s *subject) remove(pods ...cluster.Pod) {
	s.Helper()
	ctx := s.ctx()
	for _, pod := range pods {
		namespace := cmp.Or(pod.Namespace, "default")
		_, err := s.Do(ctx, "--namespace", namespace, "delete", "pod", pod.Name, "--ignore-not-found", "--wait=false")
		s.check(err)
	}
	for _, pod := range pods {
		s.check(s.AwaitGone(ctx, endLimit, pod.Namespace, pod.Name))
		s.pods = slices.DeleteFunc(s.pods, func(each cluster.Pod) bool { return each.Name == pod.Name && each.Namespace == pod.Namespace })
	}
}

func (s *subject) check(err error) {
	s.Helper()
	if err != nil {
		s.Error(err)
	}
}

// create creates pods, and removes them at the end of the case.
func (s *subject) create(pods ...cluster.Pod) {
	s.Helper()
	var manifests []string
	for _, pod := range pods {
		manifests = append(manifests, s.imaged(pod).Manifest())
	}
	s.pods = append(s.pods, pods...)
	s.must(s.Apply(s.ctx(), manifests...))
}

// imaged is a pod with the cluster's image.
func (s *suite) imaged(pod cluster.Pod) cluster.Pod {
	pod.Image = s.image
	return pod
}

// running waits until pods run and are ready.
func (s *subject) running(pods ...cluster.Pod) []cluster.PodState {
	s.Helper()
	var states []cluster.PodState
	for _, pod := range pods {
		state, err := s.AwaitPod(s.ctx(), startLimit, pod.Namespace, pod.Name, cluster.PodState.Ready)
		s.must(err)
		states = append(states, state)
	}
	return states
}

// allocatable waits until the scheduler counts so many VFs of a network on a node.
func (s *subject) allocatable(node, network string, wanted int) {
	s.Helper()
	s.must(s.AwaitAllocatable(s.ctx(), time.Minute, node, network, wanted))
}

// inside runs a script in a pod.
func (s *subject) inside(pod cluster.Pod, script string) string {
	s.Helper()
	text, err := s.Exec(s.ctx(), pod.Namespace, pod.Name, "sh", "-c", script)
	s.must(err)
	return text
}
