package config

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// FuzzParse: whatever the text is, there is a valid node or an error that names the file, and never both.
func FuzzParse(f *testing.F) {
	examples, err := filepath.Glob("../../configs/examples/node-*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, example := range examples {
		text, err := os.ReadFile(example)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		node, err := Parse("f", text)
		if err != nil {
			if node != nil {
				t.Errorf("both a node and %v", err)
			}
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("the error %q does not name the file", err)
			}
			return
		}
		checkNode(t, node)
	})
}

func checkNode(t *testing.T, node *Node) {
	t.Helper()
	if node.OfferAll == (len(node.Providers) > 0) || len(node.Networks) == 0 || node.Source != "f" {
		t.Errorf("node %+v", node)
	}
	for _, provider := range node.Providers {
		switch {
		case (provider.PF == "") == provider.Address.IsZero(),
			provider.NumVFs < 0 || provider.NumVFs > maxNumVFs,
			provider.Reserved < 0 || provider.VFs != nil && provider.Reserved > len(provider.VFs),
			!slices.IsSorted(provider.VFs),
			min(provider.Bandwidth.Egress, provider.Bandwidth.Ingress) < 0,
			max(provider.Bandwidth.Egress, provider.Bandwidth.Ingress) > maxBandwidth,
			slices.ContainsFunc(provider.Traits, func(trait string) bool { return checkOwnTrait(trait) != nil }),
			provider.Driver != "" && !dpdk.IsVFIO(provider.Driver) && !dpdk.IsUIO(provider.Driver),
			strings.ContainsAny(provider.Driver, "/ \n") || provider.Driver == "vfio_pci",
			provider.VFToken != "" && (!uuidForm.MatchString(provider.VFToken) || dpdk.IsUIO(provider.Driver)):
			t.Errorf("provider %+v", provider)
		}
	}
	if dir := node.Hugepages; dir != "" && (!path.IsAbs(dir) || path.Clean(dir) != dir || dir == "/") {
		t.Errorf("hugepages %q", dir)
	}
	names := map[string]bool{}
	for i := range node.Networks {
		network := &node.Networks[i]
		if names[network.EnvName()] {
			t.Errorf("the name %q is there twice", network.Name)
		}
		names[network.EnvName()] = true
		checkNetwork(t, network)
	}
}

func checkNetwork(t *testing.T, network *Network) {
	t.Helper()
	s := network.Settings
	switch {
	case !networkName.MatchString(network.Name),
		s.VLAN.ID > maxVLAN || s.VLAN.QoS > maxQoS || s.VLAN.ID == 0 && s.VLAN.QoS != 0,
		s.VLAN.Protocol.String() != "802.1q" && s.VLAN.ID == 0,
		s.MaxTxRate != 0 && s.MinTxRate > s.MaxTxRate,
		!s.MAC.IsZero(),
		network.MaxPerNamespace < 0 || network.MaxPerNamespace > maxQuota,
		network.Device != DeviceNetdev && (network.Device != DeviceVFIO || network.RDMA),
		network.MTU != 0 && (network.MTU < minMTU || network.MTU > maxMTU),
		!network.AllowMAC && network.MACPrefix != nil || len(network.MACPrefix) > 5,
		!network.AllowIPs && network.Subnets != nil,
		!slices.Contains([]string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"}, network.CNIVersion):
		t.Errorf("network %+v", network)
	}
	if network.WholePF && s != vf.DefaultSettings() || network.IPAM != nil && network.Delegate != nil {
		t.Errorf("network %+v", network)
	}
	if delegate := network.Delegate; delegate != nil {
		var config map[string]any
		err := json.Unmarshal(delegate.Config, &config)
		if err != nil || config["type"] != delegate.Type || delegate.Type == "static" || len(delegate.Config) > maxDelegateSize {
			t.Errorf("delegate %s with %s: %v", delegate.Type, delegate.Config, err)
		}
	}
	for _, subnet := range network.Subnets {
		if !subnet.IsValid() || subnet != subnet.Masked() {
			t.Errorf("subnet %s", subnet)
		}
	}
	routes := network.Routes
	if network.IPAM != nil {
		routes = append(slices.Clone(routes), network.IPAM.Routes...)
		for _, address := range network.IPAM.Addresses {
			if !address.Prefix.IsValid() {
				t.Errorf("address %v", address)
			}
		}
	}
	for _, route := range routes {
		if !route.Dst.IsValid() || route.GW.IsValid() && route.GW.Is4() != route.Dst.Addr().Is4() {
			t.Errorf("route %v", route)
		}
	}
}
