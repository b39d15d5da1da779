package sriovcni

import (
	"fmt"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/request"
)

// Annotation is what a pod says to get an interface of a network.
type Annotation struct {
	Network string `json:"network"`
	// InsteadOf is what the pod said to Multus; empty for a plain CNI config, which no pod names.
	InsteadOf string `json:"insteadOf,omitempty"`
	Key       string `json:"key"`
	Value     string `json:"value"`
}

// annotation writes the request of one interface: in its short form, unless the config has addresses of its own.
func (r *reading) annotation(network string) Annotation {
	a := Annotation{Network: network, Key: request.NetworksAnnotation}
	if r.source.isDefinition() {
		a.InsteadOf = "k8s.v1.cni.cncf.io/networks: " + strings.TrimPrefix(r.source.namespace+"/"+r.source.name, "/")
	}
	c := &r.conf
	a.Value = r.request(network)
	if _, err := request.Parse(a.Value, ""); err != nil && c.interfaceName != "" {
		at := field{key: "if0name", line: c.interfaceNameLine}
		r.lost(at, "%s cannot be the name of the interface: %s", printable(c.interfaceName), err)
		c.interfaceName = ""
		a.Value = r.request(network)
	}
	if !c.mac.IsZero() {
		bound := "; macPrefix lets it choose among the neighbours of this one only"
		if c.capableOfMAC {
			bound = ""
		}
		at := field{key: "mac", line: c.macLine}
		r.remark(at, "a pod says its MAC itself, here %s%s", c.mac, bound)
	}
	return a
}

func (r *reading) request(network string) string {
	c := &r.conf
	if c.mac.IsZero() && len(c.ips) == 0 {
		if c.interfaceName != "" {
			return network + "@" + c.interfaceName
		}
		return network
	}
	text := "- network: " + quoted(network) + "\n"
	if c.interfaceName != "" {
		text += "  name: " + quoted(c.interfaceName) + "\n"
	}
	if !c.mac.IsZero() {
		text += fmt.Sprintf("  mac: %q\n", c.mac)
	}
	if len(c.ips) > 0 {
		text += fmt.Sprintf("  ips: [%s]\n", `"`+strings.Join(c.ips, `", "`)+`"`)
	}
	return text
}

// quoted writes a name as YAML reads it back: as it is, or in quotes when it may look like something else.
func quoted(name string) string {
	if isPlain(name) {
		return name
	}
	return fmt.Sprintf("%q", name)
}
