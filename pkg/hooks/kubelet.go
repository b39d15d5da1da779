package hooks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/kube/podresources"
	"github.com/nri-sriov/nri-sriov/pkg/request"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Kubelet is what the hooks need of the node's kubelet.
type Kubelet struct {
	// Given asks which devices a pod was given, and waits for the answer as long as its context lets it.
	Given func(ctx context.Context, namespace, name string) ([]podresources.Device, error)
	// Promised tells whether there may be a pod that was given VFs and has not come for them. It does not wait.
	Promised func() bool
}

// isGiven tells whether the kubelet gave a container VFs.
func isGiven(container *api.Container) bool {
	for key := range container.GetAnnotations() {
		if strings.HasPrefix(key, config.GivenAnnotation) {
			return true
		}
	}
	return false
}

// present is a VF that the kubelet gave a container, by the note that came with it.
type present struct{ network, id string }

func presentsOf(container *api.Container) []present {
	var all []present
	for _, key := range slices.Sorted(maps.Keys(container.GetAnnotations())) {
		network, ok := strings.CutPrefix(key, config.GivenAnnotation)
		if !ok {
			continue
		}
		for id := range strings.SplitSeq(container.GetAnnotations()[key], ",") {
			all = append(all, present{network, id})
		}
	}
	return all
}

func (p present) is(one attach.Attachment) bool {
	return one.Network == p.network && one.Address.String() == p.id
}

// notGot finds what a container was given and its pod does not have.
func notGot(container *api.Container, attachments []attach.Attachment) (present, bool) {
	all := presentsOf(container)
	at := slices.IndexFunc(all, func(p present) bool { return !slices.ContainsFunc(attachments, p.is) })
	if at < 0 {
		return present{}, false
	}
	return all[at], true
}

// forInit lets a container use what it was given where the pod says nothing of who may: the kubelet names the containers, but
// for those of them that are init containers, whose VFs others get after them.
func forInit(f sandboxFacts, container *api.Container, attachments []attach.Attachment) ([]attach.Attachment, error) {
	all := presentsOf(container)
	if len(all) == 0 {
		return attachments, nil
	}
	var pod request.Pod
	if f.asks {
		var err error
		if pod, err = parse(f); err != nil {
			return nil, err
		}
	}
	attachments = slices.Clone(attachments)
	for i, one := range attachments {
		named := slices.ContainsFunc(pod.Groups, func(g request.Group) bool { return g.Network == one.Network })
		given := slices.ContainsFunc(all, func(p present) bool { return p.is(one) })
		if given && !named && !one.UsableBy(container.GetName()) {
			attachments[i].Containers = append(slices.Clone(one.Containers), container.GetName())
		}
	}
	return attachments, nil
}

// admitGiven lets a container through that has what the kubelet gave it. One that has not may be that of a pod which the
// kubelet did not know yet when it was asked. It does now, since it starts the container: where it answers otherwise and
// no container of the pod runs, the pod is served anew.
func (p *Plugin) admitGiven(ctx context.Context, f sandboxFacts, node *Node, container *api.Container, attachments []attach.Attachment) error {
	lacks, is := notGot(container, attachments)
	if !is {
		return node.Attacher.Admit(f.id, attachments)
	}
	err := fmt.Errorf("network %q: the kubelet gave container %s the VF %s, and its pod has not got it", lacks.network, printable(container.GetName()), printable(lacks.id))
	alone := fmt.Errorf("%w: the kubelet does not tell of what it gave to init containers alone; have a container ask for as many %s%s as the init container",
		err, config.ResourcePrefix, lacks.network)
	if len(attachments) == 0 {
		return alone // it is asked anew in any case
	}
	now, unanswered := p.question(f)(ctx)
	gave := slices.ContainsFunc(now, func(want attach.Want) bool {
		return slices.ContainsFunc(want.From, func(address vf.PCIAddress) bool { return address.String() == lacks.id })
	})
	switch {
	case unanswered == nil && node.Attacher.Correct(f.id, now):
		return attach.ErrCorrected
	case gave:
		return fmt.Errorf("%w: a container of the pod was started before the kubelet told of it, and what that one has cannot be taken away: delete the pod", err)
	}
	return alone
}

// question is what is asked about a pod, off the hooks.
func (p *Plugin) question(f sandboxFacts) attach.Question {
	return func(ctx context.Context) ([]attach.Want, error) {
		node := p.node.Load() // networks may be others when it is asked again
		devices, err := node.Kubelet.Given(ctx, f.namespace, f.name)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", attach.ErrUnanswered, err)
		}
		return wantsGiven(f, node, devices)
	}
}

// gifts are the VFs that a pod was given, by resource, each with the containers to which it was given.
type gifts map[string]map[vf.PCIAddress][]string

func giftsOf(devices []podresources.Device, node *config.Node) (gifts, error) {
	ours := map[string]bool{}
	for i := range node.Networks {
		ours[node.Networks[i].Resource()] = true
	}
	given := gifts{}
	for _, one := range devices {
		if !ours[one.Resource] && !strings.HasPrefix(one.Resource, config.ResourcePrefix) {
			continue
		}
		address, err := vf.ParsePCIAddress(one.ID)
		if err != nil {
			return nil, fmt.Errorf("the kubelet gave the pod %q of %s, which is not the PCI address of a VF", one.ID, one.Resource)
		}
		if given[one.Resource] == nil {
			given[one.Resource] = map[vf.PCIAddress][]string{}
		}
		given[one.Resource][address] = append(given[one.Resource][address], one.Container)
	}
	return given, given.twice()
}

// twice says which VF was given for two resources: no pod can have it as both.
func (g gifts) twice() error {
	before := map[vf.PCIAddress]string{}
	for _, resource := range slices.Sorted(maps.Keys(g)) {
		for _, address := range g.addresses(resource) {
			if other := before[address]; other != "" {
				return because{fmt.Errorf("the kubelet gave the pod the VF %s for %s and for %s: the node has not enough for both: delete the pod, "+
					"or keep the networks' VFs apart by traits or vfs", address, other, resource), NoFreeVF}
			}
			before[address] = resource
		}
	}
	return nil
}

func (g gifts) addresses(resource string) []vf.PCIAddress {
	return slices.SortedFunc(maps.Keys(g[resource]), vf.PCIAddress.Compare)
}

// wantsGiven turns what a pod says and what the kubelet gave it into what is to be attached.
func wantsGiven(f sandboxFacts, node *Node, devices []podresources.Device) ([]attach.Want, error) {
	given, err := giftsOf(devices, node.Config)
	if err != nil {
		return nil, err
	}
	var pod request.Pod
	if f.asks {
		if pod, err = parse(f); err != nil {
			return nil, err
		}
	}
	granted, err := authorise(pod, node.Config, f.namespace)
	if err != nil {
		return nil, err
	}
	wants, err := wantsOfGranted(f, granted)
	if err != nil {
		return nil, err
	}
	if err := assign(wants, granted, given); err != nil {
		return nil, because{err, InvalidRequest}
	}
	rest, err := unnamed(f, node.Config, pod, given)
	return append(wants, rest...), err
}

// assign has the entries of an annotation take what the kubelet gave for their resources, all of it and nothing else.
func assign(wants []attach.Want, granted []request.Granted, given gifts) error {
	asked := map[string]int{}
	for _, one := range granted {
		asked[one.Network.Resource()] += len(one.Interfaces)
	}
	for i, one := range granted {
		network, resource := one.Network, one.Network.Resource()
		from := given.addresses(resource)
		switch {
		case len(from) == 0 && network.NeedsKubelet():
			return fmt.Errorf("network %q: the kubelet gave the pod no %s, without which nobody gets a VF of this network: add resources: "+
				"{limits: {%s: %d}} to a container", network.Name, resource, resource, asked[resource])
		case len(from) == 0:
			continue
		case len(from) != asked[resource]:
			return fmt.Errorf("network %q: the annotation asks for %d VFs, and the kubelet gave the pod %d of %s: "+
				"ask for the same number in both", network.Name, asked[resource], len(from), resource)
		}
		wants[i].Resource, wants[i].From = resource, from
	}
	return nil
}

// unnamed makes an attachment of each VF of ours that the kubelet gave for a network that the annotation does not name.
func unnamed(f sandboxFacts, node *config.Node, pod request.Pod, given gifts) ([]attach.Want, error) {
	taken := map[string]bool{}
	total := 0
	for _, group := range pod.Groups {
		delete(given, config.ResourcePrefix+group.Network)
		for _, name := range group.Interfaces {
			taken[name] = true
		}
		total += len(group.Interfaces)
	}
	more := request.Pod{}
	var wants []attach.Want
	for _, resource := range slices.Sorted(maps.Keys(given)) {
		name, ours := strings.CutPrefix(resource, config.ResourcePrefix)
		if !ours {
			continue // without annotation another plugin's devices are another's to attach
		}
		for range given[resource] {
			more.Groups = append(more.Groups, request.Group{Network: name, Interfaces: []string{freeName(taken)}})
			total++
		}
	}
	if total > request.MaxVFs {
		return nil, fmt.Errorf("the pod was given %d VFs with those of its annotation; a pod may have %d", total, request.MaxVFs)
	}
	granted, err := authorise(more, node, f.namespace)
	if err != nil {
		return nil, err
	}
	if wants, err = wantsOfGranted(f, granted); err != nil {
		return nil, err
	}
	next := map[string]int{}
	for i := range wants {
		network := granted[i].Network
		resource := network.Resource()
		if resource != config.ResourcePrefix+network.Name {
			return nil, fmt.Errorf("network %q: the kubelet gave the pod %s%s, and the network's VFs are counted as %s now: make the pod anew, with that resource",
				network.Name, config.ResourcePrefix, network.Name, resource)
		}
		address := given.addresses(resource)[next[resource]]
		next[resource]++
		wants[i].Resource, wants[i].From = resource, []vf.PCIAddress{address}
		if network.Device == config.DeviceVFIO { // whose device nodes are the container's that asked for it
			wants[i].Containers = given[resource][address]
		}
	}
	return wants, nil
}

// freeName is the first netN that the pod does not have, and takes it.
func freeName(taken map[string]bool) string {
	for n := 1; ; n++ {
		if name := fmt.Sprintf("net%d", n); !taken[name] {
			taken[name] = true
			return name
		}
	}
}

// errWithoutKubelet refuses networks whose VFs the kubelet gives, where there is none.
var errWithoutKubelet = errors.New("its resourceName or requireResource needs the kubelet: " +
	"start the daemon with --kubernetes, or take the key out of the config")
