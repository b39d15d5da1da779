package k8s

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	podresources "k8s.io/kubelet/pkg/apis/podresources/v1"

	"github.com/nri-sriov/nri-sriov/test/e2e/cluster"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// attachment is one that a pod is told that it has.
type attachment struct{ Network, Interface, PCIAddress, MAC string }

const addressesOf = "PCIDEVICE_SRIOV_NRI_IO_"

// attachments are what a pod's file says that it has; its environment must say the same.
func (s *subject) attachments(pod cluster.Pod) []attachment {
	s.Helper()
	text := s.inside(pod, `cat "$NRI_SRIOV_NETWORKS"; env`)
	var file struct{ Networks []attachment }
	reader := json.NewDecoder(strings.NewReader(text))
	if err := reader.Decode(&file); err != nil {
		s.Fatalf("%v in %s", err, text)
	}
	environment := map[string][]string{}
	for line := range strings.Lines(text[reader.InputOffset():]) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && strings.HasPrefix(name, addressesOf) {
			environment[strings.ToLower(strings.TrimPrefix(name, addressesOf))] = slices.Sorted(strings.SplitSeq(value, ","))
		}
	}
	if said := byNetwork(file.Networks); !maps.EqualFunc(said, environment, slices.Equal) {
		s.Errorf("pod %s has %v by its file, and %v by its environment", pod.Name, said, environment)
	}
	return file.Networks
}

// byNetwork are the PCI addresses of attachments, sorted.
func byNetwork(list []attachment) map[string][]string {
	all := map[string][]string{}
	for _, one := range list {
		all[one.Network] = append(all[one.Network], one.PCIAddress)
		slices.Sort(all[one.Network])
	}
	return all
}

// has are the PCI addresses of what a pod has, by network; all that speak of it must agree: the file in the pod, its
// environment, and the daemon.
func (s *subject) has(pod cluster.Pod) map[string][]string {
	s.Helper()
	said := byNetwork(s.attachments(pod))
	if known := s.known(pod); !maps.EqualFunc(said, known, slices.Equal) {
		s.Errorf("pod %s has %v by its file, and %v by the daemon's word", pod.Name, said, known)
	}
	return said
}

// addresses are those that a pod has of one network.
func (s *subject) addresses(pod cluster.Pod, network string) []string {
	s.Helper()
	return s.has(pod)[network]
}

// known is what the daemon of the pod's node says that the pod has, by network.
func (s *subject) known(pod cluster.Pod) map[string][]string {
	s.Helper()
	state, err := s.Pod(s.ctx(), pod.Namespace, pod.Name)
	s.must(err)
	text, err := s.CLI(s.ctx(), state.Spec.NodeName, "pods", "-o", "json")
	s.must(err)
	var list struct {
		Pods []struct {
			Name, UID   string
			Attachments []attachment
		}
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		s.Fatalf("%v in %s", err, text)
	}
	var all []attachment
	for _, each := range list.Pods {
		if each.UID == state.Metadata.UID {
			all = append(all, each.Attachments...)
		}
	}
	return byNetwork(all)
}

// podResources is the API by which the kubelet of a node tells what it has and what it gave.
func podResources(n *cluster.Node) (podresources.PodResourcesListerClient, func() error, error) {
	conn, err := grpc.NewClient("passthrough:///"+cluster.KubeletDir+"/pod-resources/kubelet.sock",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, socket string) (net.Conn, error) { return n.Dial(ctx, socket) }))
	if err != nil {
		return nil, nil, err
	}
	return podresources.NewPodResourcesListerClient(conn), conn.Close, nil
}

// given are the devices that the kubelet says it has given to a pod, by resource.
func (s *subject) given(n *cluster.Node, pod cluster.Pod) map[string][]string {
	s.Helper()
	client, end, err := podResources(n)
	s.must(err)
	defer end()
	ctx, cancel := context.WithTimeout(s.ctx(), time.Minute)
	defer cancel()
	list, err := client.List(ctx, &podresources.ListPodResourcesRequest{})
	s.must(err)
	devices := map[string][]string{}
	for _, each := range list.PodResources {
		if each.Name != pod.Name {
			continue
		}
		for _, container := range each.Containers {
			for _, device := range container.Devices {
				devices[device.ResourceName] = append(devices[device.ResourceName], device.DeviceIds...)
				slices.Sort(devices[device.ResourceName])
			}
		}
	}
	return devices
}

// offered is how many devices the kubelet of a node says it may give for a network.
func (s *subject) offered(ctx context.Context, n *cluster.Node, network string) (int, error) {
	client, end, err := podResources(n)
	if err != nil {
		return 0, err
	}
	defer end()
	list, err := client.GetAllocatableResources(ctx, &podresources.AllocatableResourcesRequest{})
	count := 0
	for _, device := range list.GetDevices() {
		if device.ResourceName == cluster.Resource(network) {
			count += len(device.DeviceIds)
		}
	}
	return count, err
}

// labNode is the guest of a node.
func (s *subject) labNode(name string) *cluster.Node {
	s.Helper()
	for _, n := range s.lab.Nodes {
		if n.Name == name {
			return n
		}
	}
	s.Fatalf("the lab has no node %s", name)
	return nil
}

// eventually is lab.Eventually of the case.
func (s *subject) eventually(limit time.Duration, try func(context.Context) error) {
	s.Helper()
	s.must(lab.Eventually(s.ctx(), limit, try))
}

// ping has a pod reach an address; the first try also finds out the other's MAC address.
func (s *subject) ping(from cluster.Pod, address string) {
	s.Helper()
	s.eventually(time.Minute, func(ctx context.Context) error {
		_, err := s.Exec(ctx, from.Namespace, from.Name, "ping", "-c", "1", "-W", "2", address)
		return err
	})
	s.Log(s.inside(from, "ping -c 3 "+address))
}

// silence has a pod not reach an address.
func (s *subject) silence(from cluster.Pod, address string) {
	s.Helper()
	text, err := s.Exec(s.ctx(), from.Namespace, from.Name, "ping", "-c", "3", "-W", "1", address)
	if exit := (*cluster.ExitError)(nil); !errors.As(err, &exit) || !strings.Contains(text, "100% packet loss") {
		s.Errorf("pod %s reaches %s, or cannot try: %v\n%s", from.Name, address, err, text)
	}
}
