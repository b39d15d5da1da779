package request

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Parse reads the values of the two annotations; an absent group policy is the empty text. The error is one sentence
// that names the annotation and the entry, for the person who wrote the pod.
func Parse(networks, groupPolicy string) (Pod, error) {
	isolate, err := parseGroupPolicy(groupPolicy)
	if err != nil {
		return Pod{}, fmt.Errorf("%s: %w", GroupPolicyAnnotation, err)
	}
	groups, err := parseNetworks(networks)
	if err != nil {
		return Pod{}, fmt.Errorf("%s: %w", NetworksAnnotation, err)
	}
	return Pod{Groups: groups, Isolate: isolate}, nil
}

func parseGroupPolicy(text string) (isolate bool, err error) {
	switch text {
	case "", "none":
		return false, nil
	case "isolate":
		return true, nil
	}
	return false, fmt.Errorf("%s is neither none nor isolate", strictyaml.Quote(text))
}

func parseNetworks(text string) ([]Group, error) {
	raws, err := read(text)
	if err != nil {
		return nil, err
	}
	groups := make([]Group, len(raws))
	counts := make([]int, len(raws))
	total := 0
	for i := range raws {
		if counts[i], err = raws[i].count(); err == nil {
			groups[i], err = raws[i].group(counts[i])
		}
		if err != nil {
			return nil, inPlace(i, err)
		}
		total += counts[i]
	}
	if total > MaxVFs {
		return nil, fmt.Errorf("%d VFs in total are too many; a pod may ask for %d", total, MaxVFs)
	}
	names, err := interfaceNames(raws, counts)
	if err != nil {
		return nil, err
	}
	for i := range groups {
		groups[i].Interfaces = names[i]
	}
	return groups, nil
}

func (r *rawRequest) count() (int, error) {
	if r.Count == nil {
		return 1, nil
	}
	if *r.Count < 1 || *r.Count > MaxVFs {
		return 0, fmt.Errorf("count: %d is not a number from 1 to %d", *r.Count, MaxVFs)
	}
	return *r.Count, nil
}

// group checks all of an entry but the names of its interfaces, which depend on the other entries.
func (r *rawRequest) group(count int) (Group, error) {
	if r.Network == nil {
		return Group{}, errors.New("network is missing")
	}
	switch {
	case count > 1 && r.MAC != nil:
		return Group{}, fmt.Errorf("mac: one address cannot serve %d VFs; write an entry for each", count)
	case count > 1 && len(r.IPs) > 0:
		return Group{}, fmt.Errorf("ips: the addresses of one VF cannot serve %d; write an entry for each", count)
	}
	group := Group{Network: *r.Network, Required: r.Required, Forbidden: r.Forbidden, Containers: r.Containers}
	if r.Name != nil {
		group.Name = *r.Name
	}
	if err := config.CheckNetworkName(group.Network); err != nil {
		return Group{}, fmt.Errorf("network: %w", err)
	}
	if err := r.checkTraits(); err != nil {
		return Group{}, err
	}
	if r.Containers != nil && len(r.Containers) == 0 {
		return Group{}, errors.New("containers: the list is empty; leave it away for every container")
	}
	if err := checkList("containers", r.Containers, checkContainerName); err != nil {
		return Group{}, err
	}
	var err error
	if r.MAC != nil {
		if group.MAC, err = parseMAC(*r.MAC); err != nil {
			return Group{}, fmt.Errorf("mac: %w", err)
		}
	}
	group.IPs, err = parseIPs(r.IPs)
	group.Required, group.Forbidden = nilIfEmpty(group.Required), nilIfEmpty(group.Forbidden)
	return group, err
}

func (r *rawRequest) checkTraits() error {
	if err := checkList("required", r.Required, config.CheckTrait); err != nil {
		return err
	}
	if err := checkList("forbidden", r.Forbidden, config.CheckTrait); err != nil {
		return err
	}
	for _, trait := range r.Forbidden {
		if slices.Contains(r.Required, trait) {
			return fmt.Errorf("the trait %s is both required and forbidden", trait)
		}
	}
	return nil
}

func checkList(key string, list []string, check func(string) error) error {
	for i, item := range list {
		if err := check(item); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if slices.Contains(list[:i], item) {
			return fmt.Errorf("%s: %s is there twice", key, strictyaml.Quote(item))
		}
	}
	return nil
}

// containerName is the DNS label that Kubernetes wants.
var containerName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func checkContainerName(name string) error {
	if containerName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%s is not the name of a container: 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends",
		strictyaml.Quote(name))
}

// macForm is the one form of the contract; vf.ParseMAC judges the rest.
var macForm = regexp.MustCompile(`^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$`)

func parseMAC(text string) (vf.MAC, error) {
	if !macForm.MatchString(text) {
		return vf.MAC{}, fmt.Errorf("%s is not a MAC address such as 02:00:00:00:00:11", strictyaml.Quote(text))
	}
	return vf.ParseMAC(text)
}

func parseIPs(texts []string) ([]netip.Prefix, error) {
	if len(texts) > MaxIPs {
		return nil, fmt.Errorf("ips: %d addresses are too many; at most %d will do", len(texts), MaxIPs)
	}
	var ips []netip.Prefix
	seen := map[netip.Addr]bool{}
	for _, text := range texts {
		ip, err := config.ParseInterfaceAddress(text)
		if err != nil {
			return nil, fmt.Errorf("ips: %w", err)
		}
		if seen[ip.Addr()] {
			return nil, fmt.Errorf("ips: %s is there twice", ip.Addr())
		}
		seen[ip.Addr()] = true
		ips = append(ips, ip)
	}
	return ips, nil
}

func nilIfEmpty(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}
