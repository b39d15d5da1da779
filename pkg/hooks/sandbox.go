package hooks

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/cni"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/request"
	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// sandboxFacts is what the runtime says of a sandbox.
type sandboxFacts struct {
	id, uid, namespace, name string
	// netns is empty for a host-network pod, and for a sandbox that has ended.
	netns string
	// userns tells whether the pod has a user namespace of its own.
	userns bool
	// pid is the sandbox's first process, 0 when the runtime does not tell.
	pid     int
	handler string
	// asks tells whether the pod has the annotation; the two texts are what it says.
	asks               bool
	networks, grouping string
	// cpus is the pod's cpuset, such as 0-3,8, where it has one of its own.
	cpus string
}

// factsOf looks the annotation up first: a pod without it costs no more than that.
func factsOf(pod *api.PodSandbox) sandboxFacts {
	networks, asks := pod.GetAnnotations()[request.NetworksAnnotation]
	f := sandboxFacts{id: pod.GetId(), namespace: pod.GetNamespace(), name: pod.GetName(), asks: asks}
	if !asks {
		return f
	}
	f.networks, f.grouping = networks, pod.GetAnnotations()[request.GroupPolicyAnnotation]
	return f.of(pod)
}

// of looks up what else there is to know of a sandbox that may get VFs.
func (f sandboxFacts) of(pod *api.PodSandbox) sandboxFacts {
	f.uid, f.pid, f.handler = pod.GetUid(), int(pod.GetPid()), pod.GetRuntimeHandler()
	f.cpus = cmp.Or(pod.GetLinux().GetPodResources().GetCpu().GetCpus(), pod.GetLinux().GetResources().GetCpu().GetCpus())
	f.userns = hasNamespace(pod.GetLinux().GetNamespaces(), "user")
	for _, ns := range pod.GetLinux().GetNamespaces() {
		if ns.GetType() == "network" {
			f.netns = ns.GetPath()
		}
	}
	return f
}

func (f sandboxFacts) sandbox(node *Node) attach.Sandbox {
	s := attach.Sandbox{ID: f.id, Namespace: f.namespace, Name: f.name, UID: f.uid, NetNS: f.netns, PID: f.pid}
	if node.NUMANodes != nil && f.cpus != "" {
		s.NUMANodes = node.NUMANodes(f.cpus)
	}
	return s
}

// printable is a text of the runtime's for the middle of a line: as it is, or in quotes where it could end the line or hide
// a part of it.
func printable(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) && len(text) <= 253 {
		return text
	}
	return strictyaml.Quote(text)
}

// checkNetNS refuses what no runtime calls a network namespace. What lies there is looked at when it is opened.
func checkNetNS(name string) error {
	if name == "" || path.IsAbs(name) && path.Clean(name) == name && printable(name) == name {
		return nil
	}
	return fmt.Errorf("%s is not the path of a network namespace", strictyaml.Quote(name))
}

// idForm is what may become part of a path.
var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

// check refuses sandboxes that the runtime describes in a way that nobody can work with.
func (f sandboxFacts) check() error {
	if !idForm.MatchString(f.id) {
		return fmt.Errorf("sandbox id %q is not fit for a file name", f.id)
	}
	return checkNetNS(f.netns)
}

// wantsOf turns what a pod says into what is to be attached, or into the one sentence why not.
func wantsOf(f sandboxFacts, node *Node) (wants []attach.Want, isolate bool, err error) {
	if err := f.check(); err != nil {
		return nil, false, err
	}
	pod, err := parse(f)
	if err != nil {
		return nil, false, err
	}
	granted, err := authorise(pod, node.Config, f.namespace)
	if err != nil {
		return nil, false, err
	}
	for _, one := range granted {
		if node.Kubelet == nil && one.Network.NeedsKubelet() {
			return nil, false, fmt.Errorf("network %q: %w", one.Network.Name, errWithoutKubelet)
		}
	}
	wants, err = wantsOfGranted(f, granted)
	return wants, pod.Isolate, err
}

func wantsOfGranted(f sandboxFacts, granted []request.Granted) (wants []attach.Want, err error) {
	for _, one := range granted {
		if err := f.fitFor(one.Network); err != nil {
			return nil, because{fmt.Errorf("network %q: %w", one.Network.Name, err), UnfitSandbox}
		}
		wants = append(wants, wantOf(one))
	}
	return wants, nil
}

func (f sandboxFacts) fitFor(network *config.Network) error {
	return request.Sandbox{Handler: f.handler, HostNetwork: f.netns == "", UserNamespace: f.userns}.Fit(network)
}

func wantOf(one request.Granted) attach.Want {
	network := one.Network
	want := attach.Want{
		Network: network.Name, Interfaces: one.Interfaces, Containers: one.Containers,
		Whole: network.WholePF, MaxPerNamespace: network.MaxPerNamespace, Device: network.Device, RDMA: network.RDMA, VhostNet: network.VhostNet,
		Settings: network.Settings, MTU: network.MTU, CNIVersion: network.CNIVersion,
		Required:  append(append([]string{}, network.Required...), one.Required...),
		Forbidden: append(append([]string{}, network.Forbidden...), one.Forbidden...),
		AnyOf:     network.AnyOf,
	}
	want.Settings.MAC = one.MAC
	for _, route := range network.Routes {
		want.Routes = append(want.Routes, cni.Route{Destination: route.Dst, Gateway: route.GW})
	}
	if ipam := network.IPAM; ipam != nil {
		for _, address := range ipam.Addresses {
			want.Addresses = append(want.Addresses, cni.Address{Prefix: address.Prefix, Gateway: address.Gateway})
		}
		for _, route := range ipam.Routes {
			want.Routes = append(want.Routes, cni.Route{Destination: route.Dst, Gateway: gatewayOf(route, ipam.Addresses)})
		}
		want.DNS = cni.DNS(ipam.DNS)
	}
	if network.Delegate != nil {
		want.Delegate = &attach.Delegate{Config: network.Delegate.Config, IPs: one.IPs}
		return want
	}
	for _, prefix := range one.IPs {
		want.Addresses = append(want.Addresses, cni.Address{Prefix: prefix})
	}
	return want
}

// gatewayOf is the route's own gateway or, as in CNI, that of the first address of its family which has one.
func gatewayOf(route config.Route, addresses []config.Address) netip.Addr {
	if route.GW.IsValid() {
		return route.GW
	}
	for _, address := range addresses {
		if address.Gateway.IsValid() && address.Gateway.Is4() == route.Dst.Addr().Is4() {
			return address.Gateway
		}
	}
	return netip.Addr{}
}

// delegated are the networks whose addresses an IPAM plugin gives.
func delegated(node *config.Node) []attach.Want {
	var networks []attach.Want
	for _, network := range node.Networks {
		if network.Delegate != nil {
			networks = append(networks, attach.Want{
				Network: network.Name, CNIVersion: network.CNIVersion, Delegate: &attach.Delegate{Config: network.Delegate.Config},
			})
		}
	}
	return networks
}
