package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Remembered is what the kernel cannot tell, from what the daemon has written down.
type Remembered struct {
	// WholePFs are the names in the host of PFs that pods have as a whole.
	WholePFs map[vf.PCIAddress]string
	// Bound are the functions that the daemon itself has taken from their network driver.
	Bound map[vf.PCIAddress]bool
}

// Read makes the providers of this node: each PF that is there, with what the config offers of it and, where it offers
// nothing, the reason. Providers that the config names and the node does not have come back as missing, by name.
func Read(host *vf.Host, node *config.Node, remembered Remembered) (providers []*Provider, missing []string, err error) {
	r := reader{Host: host, bound: remembered.Bound}
	pfs, err := host.PFs()
	if err == nil && len(pfs) > 0 {
		err = r.look()
	}
	if err != nil {
		return nil, nil, err
	}
	named := map[vf.PCIAddress]*config.Provider{}
	for i := range node.Providers {
		want := &node.Providers[i]
		at := slices.IndexFunc(pfs, func(pf vf.PF) bool {
			if pf.Interface == "" {
				pf.Interface = remembered.WholePFs[pf.Address]
			}
			return Names(want, pf)
		})
		if at < 0 {
			missing = append(missing, want.Name())
			continue
		}
		named[pfs[at].Address] = want
	}
	for _, pf := range pfs {
		provider, err := r.provider(pf, named[pf.Address], node.OfferAll)
		if err != nil {
			return nil, nil, err
		}
		providers = append(providers, provider)
	}
	return providers, missing, nil
}

// Names tells whether a provider of the config is this PF.
func Names(want *config.Provider, pf vf.PF) bool {
	if want.PF != "" {
		return want.PF == pf.Interface
	}
	return want.Address == pf.Address
}

// reader reads the node, knowing what the host itself uses.
type reader struct {
	*vf.Host
	// routes and addressed are interfaces of the host, by index.
	routes, addressed map[int]bool
	bound             map[vf.PCIAddress]bool
}

func (r *reader) look() (err error) {
	if r.routes, err = r.DefaultRoutes(); err != nil {
		return err
	}
	r.addressed, err = r.Addressed()
	return err
}

func (r *reader) provider(pf vf.PF, want *config.Provider, offerAll bool) (provider *Provider, err error) {
	provider = &Provider{PF: pf, Traits: foundTraits(pf)}
	if want != nil {
		provider.Reserved = want.Reserved
		provider.Traits = append(provider.Traits, want.Traits...)
		provider.Driver, provider.AllowNoIOMMU, provider.VFToken = want.Driver, want.AllowNoIOMMU, want.VFToken
	}
	if provider.ownedByApplication() {
		provider.Driver = cmp.Or(provider.Driver, "vfio-pci")
	}
	slices.Sort(provider.Traits)
	provider.Traits = slices.Compact(provider.Traits)
	switch {
	case want == nil && !offerAll:
		provider.Reason = "is not among the config's providers"
	case pf.Interface == "" && !provider.ownedByApplication():
		provider.Reason = "has no interface in the host (driver " + orNone(pf.Driver) + ")"
	case pf.NumVFs == 0:
		provider.Reason = fmt.Sprintf("has no VFs (of %d possible): say numVFs in the config", pf.TotalVFs)
	}
	if want != nil || (offerAll && pf.NumVFs > 0) {
		if provider.Whole, err = r.whole(pf); err != nil {
			return nil, err
		}
		provider.Whole.AllowNoIOMMU = provider.AllowNoIOMMU
	}
	vfs, err := r.VFs(pf.Address)
	if err != nil {
		return nil, err
	}
	for _, one := range vfs {
		read := &VF{VF: one, State: Free, Rest: provider.Driver, AllowNoIOMMU: provider.AllowNoIOMMU}
		if provider.ownedByApplication() {
			read.VFToken = provider.VFToken
		}
		switch {
		case provider.Reason != "":
			read.barred, read.byPF = "its PF "+provider.Reason, pf.Interface == ""
		case want != nil && !want.VFs.Contains(one.ID):
			read.barred = "is not among the config's vfs"
		}
		if read.seen, err = r.exclusion(one, provider.Driver); err != nil {
			return nil, err
		}
		if read.Reason = cmp.Or(read.barred, read.seen); read.Reason != "" {
			read.State = Excluded
		}
		provider.VFs = append(provider.VFs, read)
	}
	return provider, nil
}

// exclusion says why a VF must not be given out, or nothing. One that rests in a driver of the admin's choice, or that
// the daemon itself has bound to another before, is brought to rest first.
func (r *reader) exclusion(one vf.VF, rest string) (string, error) {
	switch {
	case rest != "" && (one.Driver == rest || one.Driver == ""):
		return "", nil
	case r.bound[one.Address] && (one.Driver == "" || dpdk.IsStandIn(one.Driver)):
		return "", nil
	case one.Driver == "":
		return "has no driver", nil
	case len(one.Interfaces) == 0:
		return Away(one), nil
	}
	for _, name := range one.Interfaces {
		reason, err := r.hostsOwn(name)
		if errors.Is(err, vf.ErrNoInterface) {
			return Away(one), nil
		}
		if reason != "" || err != nil {
			return reason, err
		}
	}
	return "", nil
}

// hostsOwn says by what an interface shows that the host itself uses it, or nothing.
func (r *reader) hostsOwn(name string) (string, error) {
	link, err := r.Interface(name)
	if err != nil {
		return "", err
	}
	switch {
	case link.Master != 0:
		return name + " is a port of a bridge or bond of the host", nil
	case r.routes[link.Index]:
		return name + " carries the host's default route", nil
	case r.addressed[link.Index]:
		return name + " has an address of the host", nil
	}
	return "", nil
}

// whole looks at the PF as something to be given out: never one that the host itself uses.
func (r *reader) whole(pf vf.PF) (*VF, error) {
	whole := &VF{State: Free, VF: vf.VF{
		Address: pf.Address, PF: pf.Address, ID: -1, Driver: pf.Driver, NUMANode: pf.NUMANode, IOMMUGroup: pf.IOMMUGroup,
	}}
	if pf.Interface == "" {
		whole.State, whole.Reason = Excluded, Away(whole.VF)
		return whole, nil
	}
	whole.Interfaces = []string{pf.Interface}
	reason, err := r.hostsOwn(pf.Interface)
	if err != nil && !errors.Is(err, vf.ErrNoInterface) {
		return nil, err
	}
	if err != nil {
		reason = Away(whole.VF)
	}
	if reason != "" {
		whole.State, whole.Reason = Excluded, reason
	}
	return whole, nil
}

// Away says of a VF without an interface in the host why that is so, as far as one can see.
func Away(one vf.VF) string {
	if dpdk.IsStandIn(one.Driver) {
		return "is bound to " + one.Driver + ", by somebody else: the config does not let it rest there"
	}
	return "has no interface in the host: it is in another network namespace without our record"
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
