package hooks_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
	"github.com/nri-sriov/nri-sriov/pkg/kube/deviceplugin"
	"github.com/nri-sriov/nri-sriov/pkg/kube/kubelet"
	"github.com/nri-sriov/nri-sriov/pkg/kube/kubetest"
	"github.com/sirupsen/logrus"
)

const (
	resA = "sriov.nri.io/a"
	resB = "sriov.nri.io/b"

	kubeConfig = `
apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
networks:
  - name: a
    vlan: {id: 100}
  - name: b
    requireResource: true
  - name: x
    resourceName: intel.com/sriov
  - name: team
    namespaces: ["team-*"]
`
)

// cluster is a runtime on a node with a kubelet.
type cluster struct {
	*runtime
	kubelet *kubetest.Kubelet
}

// newCluster starts a node with one PF; its kubelet has been started, and knows its devices.
func newCluster(t *testing.T, vfs int) *cluster {
	t.Helper()
	c := newClusterIn(t, attachtest.NewWorld(1, vfs))
	c.kubelet.Start()
	c.kubelet.Eventually(strings.Repeat("Healthy", vfs), func() string { return health(c.kubelet.Devices(resA)) })
	c.kubelet.Eventually(strings.Repeat("Healthy", vfs), func() string { return health(c.kubelet.Devices(resB)) })
	return c
}

func health(devices string) string {
	fields := strings.Fields(devices)
	return strings.Join(slices.DeleteFunc(fields, func(field string) bool { return strings.Contains(field, ":") }), "")
}

func newClusterIn(t *testing.T, world *attachtest.World) *cluster {
	t.Helper()
	c := &cluster{runtime: newRuntime(t, world, nil, false), kubelet: kubetest.New(t)}
	log := logrus.New()
	log.SetOutput(io.Discard)
	k, err := kubelet.New(kubelet.Options{
		Dir: c.kubelet.Dir, Pool: c.pool, Ready: func() bool { return true }, Log: log,
		Times: kubelet.Times{
			Poll: 50 * time.Millisecond, Soon: 5 * time.Millisecond, Again: time.Millisecond, MaxAgain: 5 * time.Millisecond, Unknown: 50 * time.Millisecond,
			Plugin: deviceplugin.Times{Look: time.Hour, Again: 5 * time.Millisecond, MaxAgain: 20 * time.Millisecond, Register: time.Second, Watch: time.Second},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.node.Config, err = config.Parse("test.yaml", []byte(kubeConfig))
	if err != nil {
		t.Fatal(err)
	}
	k.Configure(c.node.Config)
	c.node.Kubelet = &hooks.Kubelet{Given: k.Given, Promised: k.Promised}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { k.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		ended.Wait()
	})
	c.plugin.Start(c.node)
	return c
}

// named is a pod; the annotation is left away when networks is empty.
func named(name, networks string) *api.PodSandbox {
	one := pod("s-"+name, "prod", networks)
	one.Name = name
	if networks == "" {
		one.Annotations = nil
	}
	return one
}

// container is one with the annotations that the kubelet gives it.
func container(name string, annotations map[string]string) *api.Container {
	return &api.Container{Name: name, Annotations: annotations}
}

// give has the kubelet give a container of a pod the very VFs of these numbers.
func (c *cluster) give(name, container, resource string, vfs ...int) map[string]string {
	c.Helper()
	var ids []string
	for _, id := range vfs {
		ids = append(ids, attachtest.VFAddress(0, id).String())
	}
	annotations, err := c.kubelet.Allocate("prod/"+name, container, resource, ids)
	if err != nil {
		c.Fatal(err)
	}
	return annotations
}

// told draws what a container is told: the interface, network and VF number of each attachment.
func told(t *testing.T, adjustment *api.ContainerAdjustment) string {
	t.Helper()
	if len(adjustment.GetMounts()) == 0 {
		return "nothing"
	}
	var all []string
	for _, one := range readNetworks(t, adjustment.GetMounts()[0].Source).Networks {
		all = append(all, fmt.Sprintf("%s %s %d", one.Interface, one.Network, one.VFID))
	}
	return strings.Join(all, ", ")
}

// gets runs a pod, and tells what a container of it is told.
func (c *cluster) gets(t *testing.T, pod *api.PodSandbox, container *api.Container) string {
	t.Helper()
	if err := c.run(pod); err != nil {
		return sentenceOf(err)
	}
	adjustment, err := c.createContainer(pod, container)
	if err != nil {
		return sentenceOf(err)
	}
	return told(t, adjustment)
}

// tries creates a container of a pod that runs, and tells what it is told.
func (c *cluster) tries(t *testing.T, pod *api.PodSandbox, container *api.Container) string {
	t.Helper()
	adjustment, err := c.createContainer(pod, container)
	if err != nil {
		return sentenceOf(err)
	}
	return told(t, adjustment)
}

// TestVFsThatTheKubeletGave are the ones that the pod gets, whatever way it asks.
func TestVFsThatTheKubeletGave(t *testing.T) {
	for _, one := range []struct {
		name, networks string
		resource       string
		given          []int
		want           string
	}{
		{"both", "a", resA, []int{2}, "net1 a 2"},
		{"two entries", "a@data, a", resA, []int{3, 1}, "data a 1, net1 a 3"},
		{"count", `[{network: a, count: 2}]`, resA, []int{3, 1}, "net1 a 1, net2 a 3"},
		{"resource alone", "", resA, []int{3, 1}, "net1 a 1, net2 a 3"},
		{"annotation alone", "a", "", nil, "net1 a 0"},
		{"annotation of another network", "a", resB, []int{2}, "net1 a 0, net2 b 2"},
		{"name taken", "a@net1", resB, []int{2}, "net1 a 0, net2 b 2"},
		{"too few", "a, a", resA, []int{2},
			`nri-sriov: pod prod/web: network "a": the annotation asks for 2 VFs, and the kubelet gave the pod 1 of sriov.nri.io/a: ask for the same number in both`},
		{"too many", "a", resA, []int{1, 2},
			`nri-sriov: pod prod/web: network "a": the annotation asks for 1 VFs, and the kubelet gave the pod 2 of sriov.nri.io/a: ask for the same number in both`},
		{"required", "b", resB, []int{2}, "net1 b 2"},
		{"required and missing", "b, b", "", nil,
			`nri-sriov: pod prod/web: network "b": the kubelet gave the pod no sriov.nri.io/b, without which nobody gets a VF of this network: ` +
				`add resources: {limits: {sriov.nri.io/b: 2}} to a container`},
		{"of the wrong network", "b", resA, []int{2}, `nri-sriov: pod prod/web: network "b": the kubelet gave the pod no sriov.nri.io/b, ` +
			`without which nobody gets a VF of this network: add resources: {limits: {sriov.nri.io/b: 1}} to a container`},
		{"not the namespace's", "", "sriov.nri.io/team", []int{2},
			`nri-sriov: pod prod/web: network "team": namespace "prod" may not use it; namespace "prod" may use a, b, x`},
	} {
		t.Run(one.name, func(t *testing.T) {
			c := newCluster(t, 4)
			c.kubelet.Eventually("HealthyHealthyHealthyHealthy", func() string { return health(c.kubelet.Devices("sriov.nri.io/team")) })
			c.kubelet.Give("prod/web", "app", "")
			var annotations map[string]string
			if one.resource != "" {
				annotations = c.give("web", "app", one.resource, one.given...)
			}
			if got := c.gets(t, named("web", one.networks), container("app", annotations)); got != one.want {
				t.Errorf("%s\nwanted\n%s", got, one.want)
			}
			c.end(named("web", one.networks))
			c.kubelet.End("prod/web")
			c.eventuallyFree(4)
		})
	}
}

// TestResourceOfAnotherPlugin: the VFs are those that it gave. Without annotation they are another's to attach.
func TestResourceOfAnotherPlugin(t *testing.T) {
	c := newCluster(t, 4)
	give := func(name string, ids ...string) { c.kubelet.Give("prod/"+name, "app", "intel.com/sriov", ids...) }
	give("web", attachtest.VFAddress(0, 2).String())
	if got := c.gets(t, named("web", "x"), container("app", nil)); got != "net1 x 2" {
		t.Error(got)
	}
	give("bare", attachtest.VFAddress(0, 3).String())
	if got := c.gets(t, named("bare", ""), container("app", nil)); got != "nothing" {
		t.Error(got)
	}
	c.kubelet.Give("prod/none", "app", "")
	if got := c.gets(t, named("none", "x"), container("app", nil)); !strings.Contains(got, `network "x": the kubelet gave the pod no intel.com/sriov`) {
		t.Error(got)
	}
	give("odd", "eth7")
	if got := c.gets(t, named("odd", "x"), container("app", nil)); !strings.Contains(got, `the kubelet gave the pod "eth7" of intel.com/sriov, which is not the PCI address of a VF`) {
		t.Error(got)
	}
	give("foreign", "0000:7f:10.0")
	if got := c.gets(t, named("foreign", "x"), container("app", nil)); !strings.Contains(got, `0000:7f:10.0 is nothing that this node offers`) {
		t.Error(got)
	}
}

// TestContainersOfAPodThatWasGivenVFs: all wait for them, also one that was given none and starts first.
func TestContainersOfAPodThatWasGivenVFs(t *testing.T) {
	c := newCluster(t, 2)
	annotations := c.give("web", "app", resA, 1)
	one := named("web", "")
	if got := c.gets(t, one, container("first", nil)); got != "net1 a 1" {
		t.Errorf("the first container: %s", got)
	}
	adjustment, err := c.createContainer(one, container("app", annotations))
	if err != nil || told(t, adjustment) != "net1 a 1" {
		t.Errorf("%v, %v", adjustment, err)
	}
	other := named("other", "")
	if got := c.gets(t, other, container("app", nil)); got != "nothing" || c.node.Attacher.Known(other.Id) {
		t.Errorf("a pod that was given nothing: %s, known: %v", got, c.node.Attacher.Known(other.Id))
	}
}

// TestContainerWithoutVFsOfAReplacedPod: while the predecessor has the VF, the container that was given none waits as the other
// one does, and is not started without the pod's networks.
func TestContainerWithoutVFsOfAReplacedPod(t *testing.T) {
	c := newCluster(t, 1)
	before := named("web", "")
	if got := c.gets(t, before, container("app", c.give("web", "app", resA, 0))); got != "net1 a 0" {
		t.Fatal(got)
	}
	c.kubelet.End("prod/web")
	c.give("web", "app", resA, 0)
	after := named("web", "")
	after.Id = "s-after"
	if got := c.gets(t, after, container("sidecar", nil)); !strings.Contains(got, "0000:01:10.0 is in use by sandbox s-web") {
		t.Errorf("while the predecessor has it: %s", got)
	}
	c.end(before)
	c.kubelet.Eventually("net1 a 0", func() string { return c.tries(t, after, container("sidecar", nil)) })
}

// TestGivenToAnInitContainerAlone: the kubelet does not tell of it, so that it is said instead of started without.
func TestGivenToAnInitContainerAlone(t *testing.T) {
	c := newCluster(t, 2)
	annotations := c.give("hidden", "init", resA, 1)
	c.kubelet.End("prod/hidden")
	c.kubelet.Give("prod/hidden", "app", "")
	const want = `nri-sriov: pod prod/hidden: network "a": the kubelet gave container init the VF 0000:01:10.1, and its pod has not got it: ` +
		`the kubelet does not tell of what it gave to init containers alone; have a container ask for as many sriov.nri.io/a as the init container`
	if got := c.gets(t, named("hidden", ""), container("init", annotations)); got != want {
		t.Error(got)
	}
}

// TestKubeletThatDidNotKnowThePod when it was asked: by the time that it starts the container it does, and the pod gets what
// it was given, if none of its containers runs.
func TestKubeletThatDidNotKnowThePod(t *testing.T) {
	c := newCluster(t, 2)
	one := named("web", "a")
	if err := c.run(one); err != nil {
		t.Fatal(err)
	}
	c.eventuallyFree(1)
	annotations := c.give("web", "app", resA, 1)
	if got := c.tries(t, one, container("app", annotations)); !strings.Contains(got, "the kubelet says now that the pod was given other VFs than it said before") {
		t.Error(got)
	}
	c.kubelet.Eventually("net1 a 1", func() string { return c.tries(t, one, container("app", annotations)) })
	running := named("running", "a")
	c.end(one)
	c.kubelet.End("prod/web")
	c.eventuallyFree(2)
	if got := c.gets(t, running, container("first", nil)); got != "net1 a 0" && got != "net1 a 1" {
		t.Fatal(got)
	}
	had := c.tries(t, running, container("first", nil))
	annotations = c.give("running", "app", resA, map[string]int{"net1 a 0": 1, "net1 a 1": 0}[had])
	if got := c.tries(t, running, container("app", annotations)); !strings.Contains(got, "its pod has not got it") || !strings.Contains(got, "delete the pod") {
		t.Error(got)
	}
	if got := c.tries(t, running, container("first", nil)); got != had {
		t.Errorf("the container that runs had %s, and %s", had, got)
	}
}

// TestSameVFForTwoNetworksOfAPod: it cannot wait for itself.
func TestSameVFForTwoNetworksOfAPod(t *testing.T) {
	c := newCluster(t, 2)
	both := c.give("web", "app", resA, 1)
	maps.Copy(both, c.give("web", "app", resB, 1))
	if got := c.gets(t, named("web", ""), container("app", both)); !strings.Contains(got, "0000:01:10.1 for sriov.nri.io/a and for sriov.nri.io/b") || !strings.Contains(got, "delete the pod") {
		t.Error(got)
	}
}

// TestSameVFForTwoPods: the second waits for the VF that the kubelet gave it, and gets that one.
func TestSameVFForTwoPods(t *testing.T) {
	c := newCluster(t, 2)
	first, second := c.give("first", "app", resA, 1), c.give("second", "app", resB, 1)
	if got := c.gets(t, named("second", ""), container("app", second)); !strings.Contains(got, "0000:01:10.1 was given to a pod with sriov.nri.io/a before") {
		t.Error(got)
	}
	if got := c.gets(t, named("first", ""), container("app", first)); got != "net1 a 1" {
		t.Error(got)
	}
	if got := c.gets(t, named("third", "a"), container("app", nil)); got != "net1 a 0" {
		t.Error(got)
	}
	c.kubelet.End("prod/first")
	c.end(named("first", ""))
	for range 100 {
		adjustment, err := c.createContainer(named("second", ""), container("app", second))
		if err == nil {
			if got := told(t, adjustment); got != "net1 b 1" {
				t.Error(got)
			}
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the second pod never gets its VF")
}

// TestKubeletIsAway: pods that ask for nothing go on, the others hear why they wait, and get their VFs when it is back.
func TestKubeletIsAway(t *testing.T) {
	c := newCluster(t, 4)
	annotations := c.give("given", "app", resA, 3)
	c.kubelet.Stop()
	if got := c.gets(t, named("plain", ""), container("app", nil)); got != "nothing" {
		t.Errorf("a pod without anything: %s", got)
	}
	const wait = "the kubelet has not said which VFs the pod was given; it is asked again"
	if got := c.gets(t, named("web", "a"), container("app", nil)); !strings.Contains(got, wait) {
		t.Errorf("a pod with an annotation: %s", got)
	}
	if got := c.gets(t, named("given", ""), container("app", annotations)); !strings.Contains(got, wait) {
		t.Errorf("a pod that was given a VF: %s", got)
	}
	c.kubelet.Give("prod/web", "app", "")
	c.kubelet.Start()
	if got := c.gets(t, named("web", "a"), container("app", nil)); got != "net1 a 0" {
		t.Error(got)
	}
	if got := c.gets(t, named("given", ""), container("app", annotations)); got != "net1 a 3" {
		t.Error(got)
	}
}

// TestSlowKubelet: no hook waits longer than its budget, and those of pods that ask for nothing hardly at all.
func TestSlowKubelet(t *testing.T) {
	c := newCluster(t, 4)
	annotations := c.give("given", "app", resA, 3)
	release := c.kubelet.Hold()
	defer release()
	took := func(what string, most time.Duration, do func()) {
		begun := time.Now()
		do()
		if took := time.Since(begun); took > most {
			t.Errorf("%s took %s", what, took)
		}
	}
	budget := time.Duration(0.7*float64(2*time.Second)) + 300*time.Millisecond
	for _, one := range []struct {
		pod       *api.PodSandbox
		container *api.Container
		most      time.Duration
	}{
		{named("plain", ""), container("app", nil), 800 * time.Millisecond},
		{named("web", "a"), container("app", nil), budget},
		{named("given", ""), container("app", annotations), budget},
	} {
		took("RunPodSandbox of "+one.pod.Name, 300*time.Millisecond, func() {
			if err := c.run(one.pod); err != nil {
				t.Error(err)
			}
		})
		took("CreateContainer of "+one.pod.Name, one.most, func() {
			_, err := c.createContainer(one.pod, one.container)
			if (err == nil) != (one.pod.Name == "plain") {
				t.Errorf("%s: %v", one.pod.Name, err)
			}
		})
	}
	took("StopPodSandbox", 300*time.Millisecond, func() { c.end(named("web", "a")) })
	release()
	if got := c.gets(t, named("given", ""), container("app", annotations)); got != "net1 a 3" {
		t.Error(got)
	}
}

// TestListOfRunningPods: what is known already is not asked for again; a pod that started meanwhile is.
func TestListOfRunningPods(t *testing.T) {
	c := newCluster(t, 4)
	annotations := c.give("web", "app", resA, 2)
	if got := c.gets(t, named("web", ""), container("app", annotations)); got != "net1 a 2" {
		t.Fatal(got)
	}
	asked := c.kubelet.Asked("Get")
	late := c.give("late", "app", resA, 3)
	pods := []*api.PodSandbox{named("web", ""), named("late", ""), named("plain", "")}
	containers := []*api.Container{
		{PodSandboxId: "s-web", Name: "app", Annotations: annotations}, {PodSandboxId: "s-late", Name: "app", Annotations: late},
		{PodSandboxId: "s-plain", Name: "app"},
	}
	if _, err := c.plugin.Synchronize(t.Context(), pods, containers); err != nil {
		t.Fatal(err)
	}
	adjustment, err := c.createContainer(named("late", ""), container("again", nil))
	if err != nil || told(t, adjustment) != "net1 a 3" {
		t.Errorf("%v, %v", adjustment, err)
	}
	if adjustment, err = c.createContainer(named("web", ""), container("again", nil)); err != nil || told(t, adjustment) != "net1 a 2" {
		t.Errorf("%v, %v", adjustment, err)
	}
	if now := c.kubelet.Asked("Get"); now != asked+1 {
		t.Errorf("the kubelet was asked %d times", now-asked)
	}
	if c.node.Attacher.Known("s-plain") {
		t.Error("a pod that was given nothing is known")
	}
}

// TestPodRefusedLateIsNamedInFull: kubectl describe shows an Event only where it has the pod's UID.
func TestPodRefusedLateIsNamedInFull(t *testing.T) {
	c := newCluster(t, 2)
	told := c.refusals()
	one := named("web", "")
	one.Linux.Namespaces[0].Path = "/dev/null/ns" // which is no sign of an end
	annotations := c.give("web", "app", resA, 0)
	running := []*api.Container{{PodSandboxId: one.Id, Name: "app", Annotations: annotations}}
	if _, err := c.plugin.Synchronize(t.Context(), []*api.PodSandbox{one}, running); err != nil {
		t.Fatal(err)
	}
	if refused := told(); len(refused) != 1 || refused[0].UID != one.Uid || refused[0].Name != "web" {
		t.Errorf("%+v", refused)
	}
}

// TestPlainPodsAskNothing while nobody was given a VF.
func TestPlainPodsAskNothing(t *testing.T) {
	c := newCluster(t, 2)
	for range 10 {
		if got := c.gets(t, named("plain", ""), container("app", nil)); got != "nothing" {
			t.Fatal(got)
		}
	}
	if asked := c.kubelet.Asked("Get"); asked != 0 {
		t.Errorf("the kubelet was asked %d times", asked)
	}
}

// TestNetworksOfTheKubeletWithoutIt: outside Kubernetes they are refused, and the others are not.
func TestNetworksOfTheKubeletWithoutIt(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(1, 2), nil, false)
	var err error
	if r.node.Config, err = config.Parse("test.yaml", []byte(kubeConfig)); err != nil {
		t.Fatal(err)
	}
	r.plugin.Start(r.node)
	for _, network := range []string{"b", "x"} {
		if err := r.run(named("web", network)); err == nil || !strings.Contains(err.Error(), "needs the kubelet: start the daemon with --kubernetes") {
			t.Errorf("%s: %v", network, err)
		}
	}
	if err := r.run(named("web", "a")); err != nil {
		t.Error(err)
	}
	r.end(named("web", "a"))
	r.eventuallyFree(2)
}
