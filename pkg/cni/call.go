package cni

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/utils"
)

// Call says for what addresses are asked, or given back.
type Call struct {
	// Network is the network's name; plugins keep their leases under it.
	Network string
	// CNIVersion is 0.3.1, 0.4.0, 1.0.0 or 1.1.0.
	CNIVersion string
	// Config is the plugin's configuration: a JSON object whose "type" is the plugin's file name.
	Config json.RawMessage
	// ContainerID is the sandbox's, NetNS the path of its network namespace and Interface the name in the pod.
	ContainerID, NetNS, Interface string
	// Namespace, Name and UID are the pod's, InfraID is its sandbox's id once more, as plugins for Kubernetes know it.
	// None may hold ';' or '='.
	Namespace, Name, UID, InfraID string
	// IPs are what the pod asks for.
	IPs []netip.Prefix
	// MAC is the interface's address in colon form; empty is unknown.
	MAC string
}

// versions are those of calls and of results.
var versions = []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"}

var pluginType = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$`)

// CheckPluginType tells why a text cannot be the type of a plugin, which is its file name.
func CheckPluginType(name string) error {
	const longest = 63
	if len(name) > longest || !pluginType.MatchString(name) {
		return fmt.Errorf("%s is not the file name of a plugin: 1 to %d of a-z, 0-9, dot, _ and -, with a letter or digit at both ends",
			quote(name), longest)
	}
	return nil
}

// plugin is the type that the configuration names.
func (c Call) plugin() (string, error) {
	var config struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(c.Config, &config); err != nil {
		return "", fmt.Errorf("the configuration of the plugin is no JSON object: %w", err)
	}
	return config.Type, CheckPluginType(config.Type)
}

// wrap begins an error with the plugin's name.
func (c Call) wrap(err error) error {
	if err == nil {
		return nil
	}
	name, nameErr := c.plugin()
	if nameErr != nil {
		return fmt.Errorf("ipam plugin: %w", err)
	}
	return fmt.Errorf("ipam plugin %q: %w", name, err)
}

// check gives the plugin's name when the call is fit for the command. What goes into CNI_ARGS and into names of files
// could otherwise say more than it should.
func (c Call) check(command string) (name string, err error) {
	if name, err = c.plugin(); err != nil {
		return "", err
	}
	if !slices.Contains(versions, c.CNIVersion) {
		return "", fmt.Errorf("CNI version %s is none of %s", quote(c.CNIVersion), strings.Join(versions, ", "))
	}
	if err := utils.ValidateNetworkName(c.Network); err != nil {
		return "", fmt.Errorf("network %s: %w", quote(c.Network), err)
	}
	if command == "GC" {
		return name, nil
	}
	if err := utils.ValidateContainerID(c.ContainerID); err != nil {
		return "", fmt.Errorf("container id %s: %w", quote(c.ContainerID), err)
	}
	if err := utils.ValidateInterfaceName(c.Interface); err != nil {
		return "", fmt.Errorf("interface %s: %w", quote(c.Interface), err)
	}
	if c.NetNS == "" && command != "DEL" {
		return "", errors.New("the network namespace is missing")
	}
	if c.MAC != "" {
		if _, err := net.ParseMAC(c.MAC); err != nil {
			return "", fmt.Errorf("%s is not a MAC address", quote(c.MAC))
		}
	}
	for _, value := range []string{c.NetNS, c.Namespace, c.Name, c.UID, c.InfraID} {
		if strings.ContainsAny(value, ";=\n\x00") {
			return "", fmt.Errorf("%s cannot be told to a plugin: it holds ';', '=', a line's end or a zero byte", quote(value))
		}
	}
	return name, nil
}

// stdin is a network's configuration as a plugin reads it:
// https://www.cni.dev/docs/spec/#section-1-network-configuration-format
type stdin struct {
	CNIVersion    string             `json:"cniVersion"`
	Name          string             `json:"name"`
	Type          string             `json:"type"`
	IPAM          json.RawMessage    `json:"ipam"`
	Args          *callArgs          `json:"args,omitempty"`
	RuntimeConfig *runtimeConfig     `json:"runtimeConfig,omitempty"`
	PrevResult    json.RawMessage    `json:"prevResult,omitempty"`
	Valid         *[]ValidAttachment `json:"cni.dev/valid-attachments,omitempty"`
}

// Some plugins read the requested IPs here, some there; those that read both count them once.
type callArgs struct {
	CNI struct {
		IPs []netip.Prefix `json:"ips"`
	} `json:"cni"`
}

type runtimeConfig struct {
	IPs []netip.Prefix `json:"ips,omitempty"`
	MAC string         `json:"mac,omitempty"`
}

// stdin completes what a command adds.
func (c Call) stdin(more stdin) stdin {
	more.CNIVersion, more.Name, more.Type, more.IPAM = c.CNIVersion, c.Network, "nri-sriov", c.Config
	if more.Valid != nil {
		return more // the whole network is meant, not one interface
	}
	if len(c.IPs) > 0 {
		more.Args = &callArgs{}
		more.Args.CNI.IPs = c.IPs
	}
	if len(c.IPs) > 0 || c.MAC != "" {
		more.RuntimeConfig = &runtimeConfig{IPs: c.IPs, MAC: c.MAC}
	}
	return more
}

// environment is all that a plugin gets: https://www.cni.dev/docs/spec/#parameters. Nothing of the daemon's own is in it.
func (c Call) environment(command string, dirs []string) []string {
	environment := []string{
		"CNI_COMMAND=" + command,
		"CNI_PATH=" + strings.Join(dirs, string(os.PathListSeparator)),
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
	if command == "GC" {
		return environment
	}
	return append(environment,
		"CNI_CONTAINERID="+c.ContainerID,
		"CNI_NETNS="+c.NetNS,
		"CNI_IFNAME="+c.Interface,
		"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE="+c.Namespace+";K8S_POD_NAME="+c.Name+
			";K8S_POD_INFRA_CONTAINER_ID="+c.InfraID+";K8S_POD_UID="+c.UID)
}
