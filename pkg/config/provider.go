package config

import (
	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// maxNumVFs is how many VFs have the numbers 0 to MaxVFID.
const maxNumVFs = MaxVFID + 1

// maxBandwidth is 10 Tbit/s in Mbit/s, beyond any link.
const maxBandwidth = 10_000_000

func (v validation) providers(raws []rawProvider) []Provider {
	if raws != nil && len(raws) == 0 {
		v.Addf("providers", "the list is empty; leave it away to offer every PF that has VFs")
	}
	var providers []Provider
	seen := map[string]string{}
	for i := range raws {
		path := index("providers", i)
		provider := v.provider(path, &raws[i])
		if provider.PF != "" || !provider.Address.IsZero() {
			if first, twice := seen[provider.Name()]; twice {
				v.Addf(path, "%s is already %s", provider.Name(), first)
			} else {
				seen[provider.Name()] = path
			}
		}
		providers = append(providers, provider)
	}
	return providers
}

func (v validation) provider(path string, raw *rawProvider) Provider {
	provider := Provider{
		NumVFs:   v.number(path+".numVFs", raw.NumVFs, 0, 0, maxNumVFs),
		Reserved: v.number(path+".reserved", raw.Reserved, 0, 0, maxNumVFs),
		Traits:   v.list(path+".traits", raw.Traits, checkOwnTrait),
	}
	if raw.Bandwidth != nil {
		provider.Bandwidth = v.bandwidth(path+".bandwidth", raw.Bandwidth)
	}
	switch {
	case raw.PF == nil && raw.PCIAddress == nil:
		v.Addf(path, "pf or pciAddress is missing")
	case raw.PF != nil && raw.PCIAddress != nil:
		v.Addf(path, "pf and pciAddress are both there; one of them names the PF")
	case raw.PF != nil:
		v.check(path+".pf", CheckInterfaceName(*raw.PF))
		provider.PF = *raw.PF
	default:
		provider.Address = v.pciAddress(path+".pciAddress", *raw.PCIAddress)
	}
	v.driver(path, raw, &provider)
	if raw.VFs != nil {
		provider.VFs = v.vfs(path, *raw.VFs, provider.Reserved)
	}
	return provider
}

func (v validation) bandwidth(path string, raw *rawBandwidth) Bandwidth {
	if raw.Egress == nil && raw.Ingress == nil {
		v.Addf(path, "egress and ingress are missing; declare one or both in Mbit/s, such as egress: 10000")
	}
	return Bandwidth{
		Egress:  v.number(path+".egress", raw.Egress, 0, 1, maxBandwidth),
		Ingress: v.number(path+".ingress", raw.Ingress, 0, 1, maxBandwidth),
	}
}

func (v validation) pciAddress(path, text string) vf.PCIAddress {
	const longest = len("00000000:00:00.0")
	if len(text) > longest {
		v.Addf(path, "%s is not a PCI address such as 0000:01:00.0", strictyaml.Quote(text))
		return vf.PCIAddress{}
	}
	address, err := vf.ParsePCIAddress(text)
	if err == nil && address.IsZero() {
		v.Addf(path, "%s is the root of the bus, not a PF", text)
	}
	v.check(path, err)
	return address
}

func (v validation) vfs(path, text string, reserved int) IDSet {
	set, err := ParseIDSet(text)
	if err != nil {
		v.check(path+".vfs", err)
		return nil
	}
	if reserved > len(set) {
		v.Addf(path+".reserved", "%d is more than the %d VFs of vfs %s", reserved, len(set), strictyaml.Quote(text))
	}
	return set
}
