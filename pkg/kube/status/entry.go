package status

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Annotation is the key on the pod. Its form is that of the Kubernetes Network Custom Resource Definition De-facto Standard,
// version 1.3, section 5: https://github.com/k8snetworkplumbingwg/multi-net-spec
const Annotation = "k8s.v1.cni.cncf.io/network-status"

// namePrefix begins the names of our entries. Others' names begin with a namespace or are a CNI network's own name; no
// namespace has a dot.
const namePrefix = "sriov.nri.io/"

// Entry is one network interface of a pod, or one device that it drives itself.
type Entry struct {
	Name      string   `json:"name"`
	Interface string   `json:"interface,omitempty"`
	IPs       []string `json:"ips,omitempty"`
	MAC       string   `json:"mac,omitempty"`
	MTU       int      `json:"mtu,omitempty"`
	DNS       DNS      `json:"dns"`
	// Gateway is what readers of Multus' entries look for, DefaultRoute what the standard calls it.
	Gateway      []string    `json:"gateway,omitempty"`
	DefaultRoute []string    `json:"default-route,omitempty"`
	DeviceInfo   *DeviceInfo `json:"device-info,omitempty"`
	// Sandbox is the path of the network namespace, as in the CNI result. The standard wants keys of one's own to have a
	// dot.
	Sandbox string `json:"sriov.nri.io/sandbox,omitempty"`
}

// DNS is what a network says of name resolution.
type DNS struct {
	Nameservers []string `json:"nameservers,omitempty"`
	Domain      string   `json:"domain,omitempty"`
	Search      []string `json:"search,omitempty"`
	Options     []string `json:"options,omitempty"`
}

// DeviceInfo tells of the device, in the form of the Device Information Specification 1.1.0, same source as Annotation.
type DeviceInfo struct {
	Type    string     `json:"type"`
	Version string     `json:"version"`
	PCI     *PCIDevice `json:"pci,omitempty"`
}

// PCIDevice is a device of type pci.
type PCIDevice struct {
	Address   string `json:"pci-address"`
	PFAddress string `json:"pf-pci-address,omitempty"`
	VhostNet  string `json:"vhost-net,omitempty"`
}

// NewDeviceInfo tells of a VF, or of a PF when pf is empty.
func NewDeviceInfo(address, pf, vhostNet string) *DeviceInfo {
	return &DeviceInfo{Type: "pci", Version: "1.1.0", PCI: &PCIDevice{Address: address, PFAddress: pf, VhostNet: vhostNet}}
}

// NameOf is what an entry of a network is called.
func NameOf(network string) string { return namePrefix + network }

// ours tells whether an entry is one of ours.
func ours(entry json.RawMessage) (bool, error) {
	var named struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(entry, &named); err != nil {
		return false, err
	}
	return strings.HasPrefix(named.Name, namePrefix), nil
}

// Merge puts our entries into an annotation: in the place where the first of ours was, else at the end. Those of others stay
// byte for byte and in their order. The error says that the text is no list of entries; it is to be left alone then.
func Merge(text string, entries []Entry) (string, error) {
	var list []json.RawMessage
	if strings.TrimSpace(text) != "" {
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return "", fmt.Errorf("%s is no list of entries: %w", Annotation, err)
		}
	}
	place := -1
	var kept []json.RawMessage
	for i, entry := range list {
		mine, err := ours(entry)
		switch {
		case err != nil:
			return "", fmt.Errorf("entry %d of %s is none: %w", i+1, Annotation, err)
		case !mine:
			kept = append(kept, entry)
		case place < 0:
			place = len(kept)
		}
	}
	if place < 0 {
		place = len(kept)
	}
	var mine []json.RawMessage
	for _, entry := range entries {
		one, err := json.Marshal(entry)
		if err != nil {
			return "", fmt.Errorf("write an entry of %s: %w", Annotation, err)
		}
		mine = append(mine, one)
	}
	merged := slices.Insert(kept, place, mine...)
	if len(merged) == 0 {
		return "", nil
	}
	return listOf(merged), nil
}

// listOf writes a list without touching its elements, which json.Marshal would compact.
func listOf(entries []json.RawMessage) string {
	parts := make([]string, len(entries))
	for i, one := range entries {
		parts[i] = string(one)
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// Same tells whether an annotation says the same as another, whatever white space is between its entries.
func Same(a, b string) bool {
	if a == b {
		return true
	}
	var left, right []json.RawMessage
	if json.Unmarshal([]byte(a), &left) != nil || json.Unmarshal([]byte(b), &right) != nil {
		return false
	}
	return slices.EqualFunc(left, right, func(x, y json.RawMessage) bool { return string(x) == string(y) })
}
