package kubelet

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/kube/podresources"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/sirupsen/logrus"
	"pgregory.net/rapid"
)

// drawnPod is a pod of a run: given VFs of a resource, or asking by its annotation alone.
type drawnPod struct {
	name, resource string
	given          []string
	has            []vf.PCIAddress
	// living tells that the kubelet knows it.
	living bool
}

// drawnNode is a node whose kubelet sees health as late as it likes.
type drawnNode struct {
	*rapid.T
	*Kubelet
	pool *inventory.Pool
	pods map[string]*drawnPod
	// seen is what the kubelet knows of each resource.
	seen map[string]map[string]bool
}

// look is the kubelet's taking note of a resource's devices.
func (n *drawnNode) look(resource string) {
	n.seen[resource] = map[string]bool{}
	for _, one := range n.Devices(resource) {
		n.seen[resource][one.ID] = one.Healthy
	}
}

// admit is what the kubelet does when a pod comes that asks for so many of a resource.
func (n *drawnNode) admit(pod *drawnPod, count int) bool {
	var used, available []string
	for _, other := range n.pods {
		if other.resource == pod.resource && other.living {
			used = append(used, other.given...)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(n.seen[pod.resource])) {
		if n.seen[pod.resource][id] && !slices.Contains(used, id) {
			available = append(available, id)
		}
	}
	if len(available) < count {
		return false
	}
	pod.given = n.Prefer(pod.resource, available, nil, count)
	if len(pod.given) != count {
		n.Fatalf("of %v it prefers %v", available, pod.given)
	}
	if _, err := n.Allocate(pod.resource, pod.given); err != nil {
		n.Fatalf("the kubelet gives what it was told of, and hears %v", err)
	}
	return true
}

// come is the pod's claim.
func (n *drawnNode) come(pod *drawnPod, count int) {
	g := inventory.Group{Name: "n", Count: 1}
	if pod.resource != "" {
		g = gave(pod.resource, pod.given...)
		count = len(pod.given)
	}
	request := inventory.Request{Sandbox: pod.name}
	for range count {
		g.Name, g.Count = "n", 1
		request.Groups = append(request.Groups, g)
	}
	c, err := n.pool.Claim(request)
	if err != nil {
		return
	}
	select {
	case <-c.Granted:
	default:
		n.pool.Unclaim(pod.name)
		return
	}
	for _, vfs := range c.VFs {
		address := vfs[0].Address
		for _, other := range n.pods {
			if slices.Contains(other.has, address) {
				n.Fatalf("%s has %s, which %s has", pod.name, address, other.name)
			}
		}
		if pod.resource != "" && !slices.Contains(pod.given, address.String()) {
			n.Fatalf("%s has %s, and was given %v", pod.name, address, pod.given)
		}
		pod.has = append(pod.has, address)
		n.pool.Attach(pod.name, address)
	}
}

// list is what the kubelet tells of its pods.
func (n *drawnNode) list() {
	var pods []podresources.Pod
	for _, name := range slices.Sorted(maps.Keys(n.pods)) {
		pod := n.pods[name]
		if !pod.living {
			continue
		}
		one := podresources.Pod{Namespace: "prod", Name: name}
		for _, id := range pod.given {
			one.Devices = append(one.Devices, podresources.Device{Container: "app", Resource: pod.resource, ID: id})
		}
		pods = append(pods, one)
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.takeOver(pods, time.Now())
}

// check compares what the kubelet would be told now with who has what.
func (n *drawnNode) check() {
	owner := map[string]*drawnPod{}
	for _, pod := range n.pods {
		for _, address := range pod.has {
			owner[address.String()] = pod
		}
	}
	for _, resource := range []string{resA, resB} {
		for _, one := range n.Devices(resource) {
			by, first := owner[one.ID], n.firstOf(one.ID)
			switch {
			case by != nil && one.Healthy != (by.resource == resource):
				n.Fatalf("%s of %s is healthy: %v; %s with %q has it", one.ID, resource, one.Healthy, by.name, by.resource)
			case by == nil && one.Healthy != (first == "" || first == resource):
				n.Fatalf("%s of %s is healthy: %v; nobody has it, and it was given away for %q", one.ID, resource, one.Healthy, first)
			}
		}
	}
}

// firstOf is the resource for which a VF was given away first.
func (n *drawnNode) firstOf(id string) string {
	address, err := vf.ParsePCIAddress(id)
	if err != nil {
		n.Fatal(err)
	}
	return n.ledger.holder(address, "")
}

// TestRandomPods: pods of two networks that share VFs, and pods without resource, come and go while the kubelet looks and
// lists when it likes. No VF is with two pods, none is with a pod that was given another, and what the kubelet is told
// agrees with who has what. At the end all is free.
func TestRandomPods(t *testing.T) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	networks, err := config.Parse("test.yaml", []byte(testConfig))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		pool := inventory.NewPool(attachtest.NewWorld(2, 2).Providers())
		k, err := New(Options{Dir: "/none", Pool: pool, Ready: func() bool { return true }, Times: quickTimes(), Log: log})
		if err != nil {
			t.Fatal(err)
		}
		defer k.client.Close()
		k.Configure(networks)
		n := &drawnNode{T: t, Kubelet: k, pool: pool, pods: map[string]*drawnPod{}, seen: map[string]map[string]bool{}}
		n.look(resA)
		n.look(resB)
		for step := range rapid.IntRange(1, 40).Draw(t, "steps") {
			var pod *drawnPod
			if names := slices.Sorted(maps.Keys(n.pods)); len(names) > 0 {
				pod = n.pods[rapid.SampledFrom(names).Draw(t, "pod")]
			}
			switch what := rapid.IntRange(0, 7).Draw(t, "what"); {
			case what <= 2:
				one := &drawnPod{name: fmt.Sprint("pod", step), resource: rapid.SampledFrom([]string{resA, resB, ""}).Draw(t, "resource"), living: true}
				if count := rapid.IntRange(1, 2).Draw(t, "count"); one.resource == "" || n.admit(one, count) {
					n.pods[one.name] = one
				}
			case what == 3 && pod != nil && pod.living && pod.has == nil:
				n.come(pod, 1)
			case what == 4 && pod != nil:
				pod.living = false
			case what == 5 && pod != nil && !pod.living:
				for _, address := range pod.has {
					pool.Release(pod.name, address, "")
					pool.Free(pod.name, address)
				}
				delete(n.pods, pod.name)
			case what == 6:
				n.look(rapid.SampledFrom([]string{resA, resB}).Draw(t, "resource"))
			case what == 7:
				n.list()
			}
			n.check()
		}
		for _, pod := range n.pods {
			for _, address := range pod.has {
				pool.Release(pod.name, address, "")
				pool.Free(pod.name, address)
			}
		}
		clear(n.pods)
		n.list()
		n.mutex.Lock()
		n.ledger.drop(nil, time.Now().Add(2*startTime)) // what was given and never told of
		pool.Promise(n.ledger.resources())
		n.mutex.Unlock()
		n.check()
	})
}
