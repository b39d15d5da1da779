package k8s

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/cluster"
)

// ours begins the names of our entries in network-status.
const ours = "sriov.nri.io/"

// statusEntry is one of network-status, in the form that Multus gave it.
type statusEntry struct {
	Name, Interface, MAC string
	IPs                  []string
	DeviceInfo           struct {
		Type string
		PCI  struct {
			Address string `json:"pci-address"`
		}
	} `json:"device-info"`
}

// networkStatus waits until a pod's network-status has so many entries, and gives the text too.
func (s *subject) networkStatus(pod cluster.Pod, entries int) (list []statusEntry, text string) {
	s.Helper()
	s.eventually(time.Minute, func(ctx context.Context) error {
		state, err := s.Pod(ctx, pod.Namespace, pod.Name)
		if err != nil {
			return err
		}
		text, list = state.Metadata.Annotations[cluster.NetworkStatus], nil
		if text == "" {
			return errors.New("it has no network-status")
		}
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return fmt.Errorf("%w in %s", err, text)
		}
		if len(list) != entries {
			return fmt.Errorf("%d entries, not %d: %s", len(list), entries, text)
		}
		return nil
	})
	return list, text
}

// testNetworkStatus: kubectl shows what each interface and each device of a pod is.
func testNetworkStatus(s *subject) {
	pod := cluster.Pod{
		Name: "told", Node: s.node(0), Devices: map[string]int{"public": 1, "fast": 1},
		Annotations: map[string]string{cluster.Networks: `[{network: public, name: data, ips: ["192.0.2.11/24"]}, {network: fast}]`},
	}
	s.create(pod)
	s.running(pod)
	list, text := s.networkStatus(pod, 2)
	for _, has := range s.attachments(pod) {
		at := slices.IndexFunc(list, func(e statusEntry) bool { return e.Name == ours+has.Network })
		if at < 0 {
			s.Errorf("nothing of %s in %s", has.Network, text)
			continue
		}
		entry := list[at]
		if entry.DeviceInfo.Type != "pci" || entry.DeviceInfo.PCI.Address != has.PCIAddress || entry.MAC != has.MAC {
			s.Errorf("the pod has %+v; network-status says %s", has, text)
		}
		if has.Network == "public" && (entry.Interface != "data" || !slices.Equal(entry.IPs, []string{"192.0.2.11"})) {
			s.Errorf("its interface is %q with %v: %s", entry.Interface, entry.IPs, text)
		}
	}
}

// testMultus: what another has written of its own networks stays.
func testMultus(s *subject) {
	const theirs = `{"name":"cbr0","interface":"eth0","ips":["10.88.0.9"],"default":true,"dns":{}}`
	pod := cluster.WithVF("both", s.node(0), "public", "192.0.2.11")
	pod.Annotations[cluster.NetworkStatus] = "[" + theirs + "]"
	s.create(pod)
	s.running(pod)
	if _, text := s.networkStatus(pod, 2); !strings.HasPrefix(strings.ReplaceAll(text, " ", ""), "["+theirs) {
		s.Errorf("the first entry is not as it was: %s", text)
	}
}

// testEvents: who looks why a pod does not start finds it in `kubectl describe`, and the pod starts when that is mended.
func testEvents(s *subject) {
	node := s.node(0)
	wrong := cluster.Pod{Name: "wrong", Node: node, Annotations: map[string]string{cluster.Networks: "nosuch"}}
	closed := cluster.Pod{Name: "closed", Node: node, Annotations: map[string]string{cluster.Networks: "private"}}
	uncounted := cluster.Pod{Name: "uncounted", Node: node, Annotations: map[string]string{cluster.Networks: "counted"}}
	s.create(wrong, closed, uncounted)
	for pod, wanted := range map[string]string{
		wrong.Name: `network "nosuch"`, closed.Name: `network "private"`, uncounted.Name: cluster.Resource("counted"),
	} {
		s.eventually(2*time.Minute, func(ctx context.Context) error {
			events, err := s.Events(ctx, "", pod)
			if err != nil {
				return err
			}
			for _, event := range events {
				if from := event.Source.Component + event.ReportingComponent; event.Type == "Warning" && strings.Contains(from, "nri-sriov") && strings.Contains(event.Message, wanted) {
					return nil
				}
			}
			return fmt.Errorf("no Event of ours has %q:\n%s", wanted, strings.Join(events.Lines(), "\n"))
		})
		text, err := s.Do(s.ctx(), "describe", "pod", pod)
		s.must(err)
		if !strings.Contains(text, wanted) {
			s.Errorf("kubectl describe has no %q:\n%s", wanted, text)
		}
		s.Log(text[strings.LastIndex(text, "Events:"):])
	}
	for _, pod := range []cluster.Pod{wrong, closed, uncounted} {
		state, err := s.Pod(s.ctx(), "", pod.Name)
		s.must(err)
		if state.Ready() {
			s.Errorf("pod %s runs", pod.Name)
		}
	}
}
