package inventory

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// State says what may be done with a VF.
type State string

// The states of a VF. Claimed VFs are being attached; releasing ones are on their way back, or quarantined with a
// reason until they are clean; excluded ones are never given out.
const (
	Free      State = "free"
	Claimed   State = "claimed"
	Attached  State = "attached"
	Releasing State = "releasing"
	Excluded  State = "excluded"
)

// Provider is one PF with what it offers.
type Provider struct {
	PF vf.PF
	// Traits are those found and those the admin gave, sorted.
	Traits []string
	// Reserved VFs of the offered ones are kept back.
	Reserved int
	// Reason says why the PF offers no VF, when it offers none.
	Reason string
	VFs    []*VF
	// Driver is the one that free VFs rest in; empty is the kernel's own network driver.
	Driver string
	// AllowNoIOMMU gives VFs to vfio where no IOMMU is on.
	AllowNoIOMMU bool
	// VFToken is what vfio-pci asks for when a VF is opened whose PF an application of the admin drives.
	VFToken string
	// Whole is the PF itself as something to be given out, under the PF's address and with the number -1.
	Whole *VF
	// Bandwidth is what the admin has declared of the link, in kilobit/s; 0 is nothing.
	Bandwidth Bandwidth

	stock stock
	// gone tells that the PF is no more; somebody has one of its VFs still.
	gone bool
	// egress is what VFs in use draw on Bandwidth.Egress.
	egress int
}

// Bandwidth is what goes out of a PF and what comes in, in kilobit/s as placement counts it.
type Bandwidth struct{ Egress, Ingress int }

// VF is a virtual function with its state.
type VF struct {
	vf.VF
	State State
	// Rest, AllowNoIOMMU and VFToken are its provider's; Rest is Provider.Driver, and empty for a PF itself.
	Rest         string
	AllowNoIOMMU bool
	VFToken      string
	// Sandbox has it, unless it is free or excluded.
	Sandbox string
	// Reason says why it is excluded, or what keeps it from being free.
	Reason string

	// barred says why it is excluded whoever has had it.
	barred string
	// byPF tells that it is barred because its PF has no interface; seen is what would exclude it otherwise.
	byPF bool
	seen string
	// provider is its PF's, nil for a whole PF; before and after are its neighbours in line, while it is free.
	provider      *Provider
	before, after *VF
	// egress is what it draws on the PF's bandwidth, in kilobit/s.
	egress int
	// changed is when its state changed last.
	changed time.Time
	// gone tells that it is no more, though somebody has it.
	gone bool
	// held tells that it is Releasing only until somebody has looked at it.
	held bool
	// userspace tells that its sandbox drives it itself, and with it whatever is in the same IOMMU group.
	userspace bool
	// unoffered tells that the config leaves it to others.
	unoffered bool
	// promises are the resources for which the kubelet has given it away; see Pool.Promise. via is the one by which its
	// sandbox has it, empty when it has it by an annotation alone.
	promises []string
	via      string
	// awaited tells that it was given away again while somebody had it.
	awaited bool
}

// offered counts the VFs that may ever be given out, used those that are given out or not back yet.
func (p *Provider) offered() (total, used int) {
	total = len(p.VFs) - p.stock.counts[Excluded]
	return total, total - p.stock.counts[Free]
}

func (p *Provider) has(trait string) bool {
	_, found := slices.BinarySearch(p.Traits, trait)
	return found
}

// suits answers "" when the provider's traits are as the group wants them, else what is wrong.
func (p *Provider) suits(g Group) string {
	for _, trait := range g.Required {
		if !p.has(trait) {
			return "lacks " + trait
		}
	}
	for _, trait := range g.Forbidden {
		if p.has(trait) {
			return "has " + trait
		}
	}
	for _, any := range g.AnyOf {
		if !slices.ContainsFunc(any, p.has) {
			return "has none of " + strings.Join(any, ", ")
		}
	}
	return p.unfitDevice(g)
}

// unfitDevice says why the provider's VFs cannot be given in the way that the group wants, or nothing.
func (p *Provider) unfitDevice(g Group) string {
	if !g.Userspace {
		if p.ownedByApplication() {
			return "has VFs for vfio only: itself it is bound to " + p.PF.Driver
		}
		return ""
	}
	if p.AllowNoIOMMU || dpdk.IsUIO(p.Driver) || p.PF.IOMMUGroup >= 0 ||
		slices.ContainsFunc(p.VFs, func(one *VF) bool { return one.IOMMUGroup >= 0 }) {
		return ""
	}
	return "cannot be given to vfio: the IOMMU is off (boot with intel_iommu=on iommu=pt; AMD: iommu=pt)"
}

// ownedByApplication tells whether the admin has an application drive the PF, so that its VFs can be opened with its token.
func (p *Provider) ownedByApplication() bool {
	return p.VFToken != "" && p.PF.Interface == "" && dpdk.IsVFIO(p.PF.Driver)
}

// givenOut tells whether somebody has the PF itself.
func (p *Provider) givenOut() bool {
	return p.Whole != nil && p.Whole.State != Free && p.Whole.State != Excluded
}

// unfitWhole says why the PF cannot be given out as a whole now, or nothing. A VF that somebody else has, or that the
// config leaves to others, is in the way as much as one of ours.
func (p *Provider) unfitWhole() string {
	switch {
	case p.Whole == nil:
		return "is not offered as a whole"
	case p.Whole.State == Excluded:
		return "is the host's own: " + p.Whole.Reason
	case p.Whole.State != Free:
		return "is in use as a whole"
	}
	for _, one := range p.VFs {
		if one.State == Excluded {
			return fmt.Sprintf("cannot be given away: its VF %d %s", one.ID, one.Reason)
		}
		if one.State != Free {
			return fmt.Sprintf("has VF %d in use", one.ID)
		}
	}
	return ""
}

// shortage says why a provider that suits cannot serve a group.
func (p *Provider) shortage(g Group) string {
	count := g.Count
	if g.Whole {
		if reason := p.unfitWhole(); reason != "" || count == 1 {
			return reason
		}
		return fmt.Sprintf("is one PF, not the %d that one entry asks for: make an entry of each", count)
	}
	if p.givenOut() {
		return "is in use as a whole"
	}
	if p.Reason != "" {
		return p.Reason
	}
	total, used := p.offered()
	capacity := max(0, total-p.Reserved)
	switch {
	case total == 0:
		return "offers no VF"
	case capacity < count:
		return fmt.Sprintf("offers %d of the %d VFs that one PF must serve", capacity, count)
	case p.Bandwidth.Egress > 0 && count*g.Egress > p.Bandwidth.Egress-p.egress:
		return fmt.Sprintf("has %d of %d Mbit/s left, %d wanted", (p.Bandwidth.Egress-p.egress)/1000, p.Bandwidth.Egress/1000, count*g.Egress/1000)
	case count > 1 && used < capacity:
		return fmt.Sprintf("%d of %d in use, %d wanted of one PF", used, capacity, count)
	}
	return fmt.Sprintf("%d of %d in use", min(used, capacity), capacity)
}

// The traits that say in which ways a PF's VFs can be given: as network interfaces, or to a pod that drives them itself.
const (
	TraitNetdev = "CUSTOM_DEVICE_NETDEV"
	TraitVFIO   = "CUSTOM_DEVICE_VFIO"
)

// foundTraits are the traits that the hardware shows: HW_NIC_SRIOV of OpenStack's os-traits, and CUSTOM_DRIVER_*,
// CUSTOM_VENDOR_* (PCI vendor id), CUSTOM_NUMA_*, CUSTOM_SPEED_* (Mbit/s, while there is a link); beside them TraitNetdev and TraitVFIO.
func foundTraits(pf vf.PF) []string {
	traits := []string{"HW_NIC_SRIOV"}
	if pf.Driver != "" {
		traits = append(traits, "CUSTOM_DRIVER_"+traitForm(pf.Driver))
	}
	if pf.Vendor != "" {
		traits = append(traits, "CUSTOM_VENDOR_"+traitForm(pf.Vendor))
	}
	if pf.NUMANode >= 0 {
		traits = append(traits, fmt.Sprintf("CUSTOM_NUMA_%d", pf.NUMANode))
	}
	if pf.Speed > 0 {
		traits = append(traits, fmt.Sprintf("CUSTOM_SPEED_%d", pf.Speed))
	}
	return traits
}

func traitForm(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, text)
}
