package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
)

// tied are devices that cannot be given to vfio for the same reason.
type tied struct {
	subject, reason, mend string
	devices               []string
}

// checkGroups names the IOMMU groups that keep devices from vfio, and those devices that are in none. It is a failure
// when no device is left.
func checkGroups(host *dpdk.Host, node *config.Node, providers []*inventory.Provider, n needs) []Finding {
	wanted, vfs := candidates(node, providers, n)
	var all []*tied
	usable := 0
	for _, one := range wanted {
		found, err := obstacle(host, one, vfs)
		if err != nil {
			all = append(all, &tied{one.Address.String(), err.Error(), "run as root", nil})
			continue
		}
		if found == nil {
			usable++
			continue
		}
		at := slices.IndexFunc(all, func(other *tied) bool { return other.subject == found.subject })
		if at < 0 {
			at, all = len(all), append(all, found)
		}
		all[at].devices = append(all[at].devices, one.Address.String())
	}
	status := Warning
	if usable == 0 {
		status = Failure
	}
	var findings []Finding
	for _, each := range all {
		findings = append(findings, Finding{status, each.subject, summary(each.devices) + each.reason, each.mend})
	}
	return findings
}

// candidates are the devices that the config's networks give to vfio, and by name the VFs among them.
func candidates(node *config.Node, providers []*inventory.Provider, n needs) (wanted []*inventory.VF, vfs map[string]bool) {
	vfs = map[string]bool{}
	for _, provider := range providers {
		at := slices.IndexFunc(node.Providers, func(each config.Provider) bool { return inventory.Names(&each, provider.PF) })
		if at < 0 && !node.OfferAll {
			continue
		}
		for _, one := range provider.VFs {
			if n.vfs && !dpdk.IsUIO(provider.Driver) && !hostsOwn(one) && (at < 0 || node.Providers[at].VFs.Contains(one.ID)) {
				wanted = append(wanted, one)
				vfs[one.Address.String()] = true
			}
		}
		if n.wholePFs && provider.Whole != nil && !hostsOwn(provider.Whole) {
			wanted = append(wanted, provider.Whole)
		}
	}
	return wanted, vfs
}

// hostsOwn tells of a device that the host itself uses. Without an interface it is with a pod, or waits for one.
func hostsOwn(one *inventory.VF) bool {
	return one.State == inventory.Excluded && len(one.Interfaces) > 0
}

// obstacle says what keeps a device from vfio, nil when nothing does. VFs that are given to vfio themselves do not.
func obstacle(host *dpdk.Host, one *inventory.VF, vfs map[string]bool) (*tied, error) {
	if one.Rest == "" && (one.Driver == "mlx5_core" || one.Driver == "mlx4_core") {
		return &tied{
			subject: "driver " + one.Driver, reason: " cannot be given to vfio: DPDK drives them through " + one.Driver,
			mend: "device: netdev with rdma: true in the network; or driver: vfio-pci of the provider, if it is not for DPDK",
		}, nil
	}
	group, err := host.Group(one.Address)
	if err != nil {
		return nil, err
	}
	if group.Number < 0 || group.NoIOMMU {
		if one.AllowNoIOMMU {
			return nil, nil
		}
		return &tied{
			subject: "devices without IOMMU group", reason: ": nothing keeps them from the machine's memory, though the IOMMU is on",
			mend: "dmesg says what the IOMMU leaves out (DMAR, AMD-Vi); use a NIC in another slot",
		}, nil
	}
	var names []string
	for _, each := range group.Foreign(one.Address) {
		if !vfs[each.Name] {
			names = append(names, each.String())
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	return &tied{
		subject: fmt.Sprintf("IOMMU group %d", group.Number),
		reason:  " cannot be given to vfio: the host uses other members: " + strings.Join(names, ", "),
		mend:    "bind them to vfio-pci or to none, or put the NIC into a slot whose ports keep devices apart (ACS)",
	}, nil
}

// summary names the first of some devices and counts the others.
func summary(devices []string) string {
	switch len(devices) {
	case 0:
		return ""
	case 1:
		return devices[0]
	}
	return fmt.Sprintf("%s and %d more", devices[0], len(devices)-1)
}
