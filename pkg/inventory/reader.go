package inventory

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Read makes the providers of this node: each PF that is there, with what the config offers of it and, where it offers
// nothing, the reason. Providers that the config names and the node does not have come back as missing, by name.
func Read(host *vf.Host, node *config.Node) (providers []*Provider, missing []string, err error) {
	pfs, err := host.PFs()
	if err != nil {
		return nil, nil, err
	}
	named := map[vf.PCIAddress]*config.Provider{}
	for i := range node.Providers {
		want := &node.Providers[i]
		at := slices.IndexFunc(pfs, func(pf vf.PF) bool { return Names(want, pf) })
		if at < 0 {
			missing = append(missing, want.Name())
			continue
		}
		named[pfs[at].Address] = want
	}
	for _, pf := range pfs {
		provider, err := readProvider(host, pf, named[pf.Address], node.OfferAll)
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

func readProvider(host *vf.Host, pf vf.PF, want *config.Provider, offerAll bool) (*Provider, error) {
	provider := &Provider{PF: pf, Traits: foundTraits(pf)}
	if want != nil {
		provider.Reserved = want.Reserved
		provider.Traits = append(provider.Traits, want.Traits...)
	}
	slices.Sort(provider.Traits)
	provider.Traits = slices.Compact(provider.Traits)
	switch {
	case want == nil && !offerAll:
		provider.Reason = "is not among the config's providers"
	case pf.Interface == "":
		provider.Reason = "has no interface in the host (driver " + orNone(pf.Driver) + ")"
	case pf.NumVFs == 0:
		provider.Reason = fmt.Sprintf("has no VFs (of %d possible): say numVFs in the config", pf.TotalVFs)
	}
	vfs, err := host.VFs(pf.Address)
	if err != nil {
		return nil, err
	}
	for _, one := range vfs {
		read := &VF{VF: one, State: Free}
		switch {
		case provider.Reason != "":
			read.barred = "its PF " + provider.Reason
		case want != nil && !want.VFs.Contains(one.ID):
			read.barred = "is not among the config's vfs"
		}
		if read.Reason = read.barred; read.Reason == "" {
			if read.Reason, err = exclusion(host, one); err != nil {
				return nil, err
			}
		}
		if read.Reason != "" {
			read.State = Excluded
		}
		provider.VFs = append(provider.VFs, read)
	}
	return provider, nil
}

// exclusion says why a VF must not be given out, or nothing.
func exclusion(host *vf.Host, one vf.VF) (string, error) {
	switch {
	case one.Driver == "":
		return "has no driver", nil
	case len(one.Interfaces) == 0:
		return Away(one), nil
	case len(one.Interfaces) > 1:
		return "has two interfaces, which is not supported yet", nil
	}
	link, err := host.Interface(one.Interfaces[0])
	if errors.Is(err, vf.ErrNoInterface) {
		return Away(one), nil
	}
	if err != nil {
		return "", err
	}
	if link.Master != 0 {
		return one.Interfaces[0] + " is a port of a bridge or bond of the host", nil
	}
	used, err := host.HasAddress(link.Index)
	if err != nil {
		return "", err
	}
	if used {
		return one.Interfaces[0] + " has an address of the host", nil
	}
	return "", nil
}

// Away says of a VF without an interface in the host why that is so, as far as one can see.
func Away(one vf.VF) string {
	if one.Driver == "vfio-pci" || one.Driver == "uio_pci_generic" || one.Driver == "igb_uio" {
		return "is bound to " + one.Driver + ", not to a network driver"
	}
	return "has no interface in the host: it is in another network namespace without our record"
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
