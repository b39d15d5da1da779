package check

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/candidate"
	"github.com/nri-sriov/nri-sriov/pkg/cni"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/placement"
	"github.com/nri-sriov/nri-sriov/pkg/request"
)

// question is a pod that is asked about, and the findings so far.
type question struct {
	pod      candidate.Manifest
	node     candidate.Node
	plugins  *cni.IPAM
	findings []Finding
}

func (q *question) say(status Status, subject, message, mend string) {
	q.findings = append(q.findings, Finding{status, subject, message, mend})
}

// Pod asks whether a pod would work on a node as it is now, and if not, why. IPAM plugins are looked for in plugins.
func Pod(pod candidate.Manifest, node candidate.Node, plugins *cni.IPAM) []Finding {
	q := &question{pod: pod, node: node, plugins: plugins}
	counted := q.counted()
	asked, ok := q.asked(counted)
	if !ok {
		return q.findings
	}
	granted := q.granted(asked)
	q.resources(granted, counted)
	q.containers(granted)
	if len(granted) == len(asked.Groups) {
		q.placed(granted, asked.Isolate)
	}
	return q.findings
}

const annotationMend = "docs/annotation.md has the keys and their values"

// asked is what the pod asks for by its annotation, and by the resources of its containers that no entry names.
func (q *question) asked(counted map[string]int) (asked request.Pod, ok bool) {
	if q.pod.Asks {
		var err error
		if asked, err = request.Parse(q.pod.Networks, q.pod.Grouping); err != nil {
			q.say(Failure, "annotation", err.Error(), annotationMend)
			return asked, false
		}
	}
	entries := len(asked.Groups)
	asked.Groups = append(asked.Groups, unnamed(asked, counted)...)
	devices := 0
	for _, group := range asked.Groups {
		devices += len(group.Interfaces)
	}
	alone := len(asked.Groups) - entries
	switch {
	case devices == 0:
		q.say(Warning, "annotation", "there is none, and no container asks for "+config.ResourcePrefix+"…: such a pod gets no VF",
			"add "+request.NetworksAnnotation+" to the pod's annotations")
		return asked, false
	case devices > request.MaxVFs:
		q.say(Failure, "annotation", fmt.Sprintf("%d devices in all, with those of resources; a pod may have %d", devices, request.MaxVFs), "ask for less")
		return asked, false
	case alone > 0:
		q.say(OK, "annotation", fmt.Sprintf("entries: %d, devices: %d, of which %d by resources of containers alone", entries, devices, alone), "")
	default:
		q.say(OK, "annotation", fmt.Sprintf("entries: %d, devices: %d", entries, devices), "")
	}
	return asked, true
}

// unnamed are entries for resources of ours whose networks the annotation does not name: an interface or device each.
func unnamed(asked request.Pod, counted map[string]int) (groups []request.Group) {
	named, taken := map[string]bool{}, map[string]bool{}
	for _, group := range asked.Groups {
		named[group.Network] = true
		for _, name := range group.Interfaces {
			taken[name] = true
		}
	}
	next := 1
	for _, resource := range slices.Sorted(maps.Keys(counted)) {
		network, ours := strings.CutPrefix(resource, config.ResourcePrefix)
		if !ours || named[network] {
			continue
		}
		for range counted[resource] {
			for taken[fmt.Sprint("net", next)] {
				next++
			}
			groups = append(groups, request.Group{Network: network, Interfaces: []string{fmt.Sprint("net", next)}})
			next++
		}
	}
	return groups
}

// granted are the entries that the node's config allows; the others are findings, each.
func (q *question) granted(asked request.Pod) []request.Granted {
	var granted []request.Granted
	userns := q.pod.Spec.HostUsers != nil && !*q.pod.Spec.HostUsers
	sandbox := request.Sandbox{Handler: q.pod.Spec.RuntimeClassName, HostNetwork: q.pod.Spec.HostNetwork, UserNamespace: userns}
	for _, group := range asked.Groups {
		subject := entryOf(group)
		one, err := request.Authorise(request.Pod{Groups: []request.Group{group}}, q.node.Config, q.pod.Namespace)
		if err != nil {
			q.say(Failure, subject, err.Error(), "choose another network, or see namespaces, allow and maxPerNamespace in the node's config")
			continue
		}
		granted = append(granted, one...)
		network := one[0].Network
		if err := sandbox.Fit(network); err != nil {
			q.say(Failure, subject, err.Error(), "")
			continue
		}
		if network.Delegate != nil {
			if _, err := q.plugins.Find(network.Delegate.Type); err != nil {
				q.say(Failure, subject, fmt.Sprintf("ipam plugin %q: %v", network.Delegate.Type, err), "")
				continue
			}
		}
		q.say(OK, subject, described(network), "")
	}
	if len(granted) == len(asked.Groups) {
		// What the entries break together and none of them alone, such as a quota.
		if _, err := request.Authorise(asked, q.node.Config, q.pod.Namespace); err != nil {
			q.say(Failure, "annotation", err.Error(), "ask for less")
			return nil
		}
	}
	return granted
}

func entryOf(group request.Group) string {
	return fmt.Sprintf("network %q as %s", group.Network, strings.Join(group.Interfaces, ", "))
}

// described is what a pod gets of a network.
func described(network *config.Network) string {
	text := "a VF as " + network.Device
	if network.WholePF {
		text = "a whole PF as " + network.Device
	}
	if vlan := network.Settings.VLAN; vlan.ID != 0 {
		text += fmt.Sprintf(", VLAN %d", vlan.ID)
	}
	switch {
	case network.Delegate != nil:
		text += ", addresses from " + network.Delegate.Type
	case network.IPAM != nil:
		text += ", static addresses"
	}
	return text
}

// tooMany is more than any pod may have, and few enough to count.
const tooMany = request.MaxVFs + 1

// counted is how many devices of each resource the kubelet would give the pod's containers.
func (q *question) counted() map[string]int {
	ours := map[string]bool{}
	for i := range q.node.Config.Networks {
		ours[q.node.Config.Networks[i].Resource()] = true
	}
	counted := map[string]int{}
	count := func(container candidate.Container) {
		for name, value := range container.Resources.Limits {
			if !ours[name] && !strings.HasPrefix(name, config.ResourcePrefix) {
				continue
			}
			amount, err := strconv.Atoi(fmt.Sprint(value))
			if err != nil || amount < 0 {
				q.say(Failure, "container "+container.Name, fmt.Sprintf("%s: %v is not a whole number", name, value), "devices are counted in ones")
				continue
			}
			counted[name] = min(counted[name]+min(amount, tooMany), tooMany)
		}
	}
	for _, container := range q.pod.Spec.Containers {
		count(container)
	}
	for _, container := range q.pod.Spec.InitContainers {
		if container.RestartPolicy == "Always" {
			count(container)
		}
	}
	return counted
}

// resources compares what the annotation asks for with what the kubelet would give.
func (q *question) resources(granted []request.Granted, counted map[string]int) {
	asked := map[*config.Network]int{}
	var networks []*config.Network
	for _, one := range granted {
		if asked[one.Network] == 0 {
			networks = append(networks, one.Network)
		}
		asked[one.Network] += len(one.Interfaces)
	}
	for _, network := range networks {
		resource, subject := network.Resource(), fmt.Sprintf("network %q", network.Name)
		mend := fmt.Sprintf("resources: {limits: {%s: %d}} in one container", resource, asked[network])
		switch given := counted[resource]; {
		case given == 0 && network.NeedsKubelet():
			q.say(Failure, subject, "nobody gets a VF of it without "+resource, mend)
		case given > 0 && given != asked[network]:
			q.say(Failure, subject, fmt.Sprintf("the annotation asks for %d and the containers for %d of %s", asked[network], given, resource), mend)
		}
	}
}

// containers looks for names that no container has, and for DPDK without huge pages.
func (q *question) containers(granted []request.Granted) {
	all := slices.Concat(q.pod.Spec.Containers, q.pod.Spec.InitContainers)
	for _, one := range granted {
		for _, name := range one.Containers {
			if !slices.ContainsFunc(all, func(container candidate.Container) bool { return container.Name == name }) {
				q.say(Failure, entryOf(one.Group), fmt.Sprintf("the pod has no container %q, so that nobody gets the device", name), "correct containers in the annotation")
			}
		}
		if one.Network.Device != config.DeviceVFIO {
			continue
		}
		for _, container := range q.pod.Spec.Containers {
			gets := one.Containers == nil || slices.Contains(one.Containers, container.Name)
			if gets && !slices.ContainsFunc(slices.Collect(maps.Keys(container.Resources.Limits)), isHugepages) {
				q.say(Warning, "container "+container.Name, "it gets a vfio device and asks for no huge pages, which DPDK wants",
					"hugepages-2Mi: 512Mi in its requests and limits, or run DPDK with --no-huge; where one container needs none of the device: containers in the annotation")
			}
		}
	}
}

func isHugepages(resource string) bool { return strings.HasPrefix(resource, "hugepages-") }

// placed asks whether there are VFs for all entries together, now and at all.
func (q *question) placed(granted []request.Granted, isolate bool) {
	result, err := candidate.Ways(q.node, granted, isolate)
	var bad *placement.BadRequest
	switch {
	case errors.As(err, &bad):
		q.say(Failure, "VFs", bad.Error(), "correct the trait's name, or add it to a provider in the node's config")
		return
	case err != nil:
		q.say(Failure, "VFs", err.Error(), "see nri-sriov check and nri-sriov inventory")
		return
	case len(result.Candidates) > 0:
		q.say(OK, "VFs", fmt.Sprintf("ways in which this node can serve the pod now: %d; nri-sriov candidates lists them", len(result.Candidates)), "")
		return
	}
	status, mend := Failure, "this node can never serve the pod: see its traits, reserved and numbers in nri-sriov inventory"
	if empty, err := candidate.Ways(emptied(q.node), granted, isolate); err == nil && len(empty.Candidates) > 0 {
		status, mend = Warning, "the pod waits until other pods end; nri-sriov pods shows who has what"
	}
	for _, reason := range result.Reasons {
		q.say(status, "VFs", reason, mend)
	}
}

// emptied is a node of whose VFs none is in use.
func emptied(node candidate.Node) candidate.Node {
	tree := inventory.Tree{Providers: slices.Clone(node.Tree.Providers)}
	for i := range tree.Providers {
		stocks := maps.Clone(tree.Providers[i].Inventories)
		for class, stock := range stocks {
			stock.Used = 0
			stocks[class] = stock
		}
		tree.Providers[i].Inventories = stocks
	}
	node.Tree = tree
	return node
}
