package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
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
	// CNILocks is the folder in which sriov-cni writes down what it has given to whom; empty is DefaultCNILocks.
	CNILocks string
}

// Read makes the providers of this node: each PF that is there, with what the config offers of it and, where it offers
// nothing, the reason. Providers that the config names and the node does not have come back as missing, by name.
func Read(host *vf.Host, node *config.Node, remembered Remembered) (providers []*Provider, missing []string, err error) {
	r := reader{Host: host, bound: remembered.Bound}
	pfs, err := host.PFs()
	if err == nil && len(pfs) > 0 {
		err = r.look(cmp.Or(remembered.CNILocks, DefaultCNILocks))
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
		if errors.Is(err, fs.ErrNotExist) {
			continue // unplugged meanwhile
		}
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
	// routes and addressed are interfaces of the host, by index; upon names what stands upon one of them.
	routes, addressed map[int]bool
	upon              map[int]string
	// bound has the daemon itself, locked has sriov-cni, by the file that says so.
	bound  map[vf.PCIAddress]bool
	locked map[vf.PCIAddress]string
}

func (r *reader) look(locks string) (err error) {
	if r.routes, err = r.DefaultRoutes(); err != nil {
		return err
	}
	if r.addressed, err = r.Addressed(); err != nil {
		return err
	}
	links, err := r.Namespace().Interfaces()
	if err != nil {
		return err
	}
	r.upon = map[int]string{}
	for _, link := range links {
		if link.Lower != 0 {
			r.upon[link.Lower] = link.Name
		}
	}
	r.locked, err = readCNILocks(locks, r.Namespace())
	return err
}

func (r *reader) provider(pf vf.PF, want *config.Provider, offerAll bool) (provider *Provider, err error) {
	provider = &Provider{PF: pf, Traits: foundTraits(pf)}
	if want != nil {
		provider.Reserved = want.Reserved
		provider.Traits = append(provider.Traits, want.Traits...)
		provider.Driver, provider.AllowNoIOMMU, provider.VFToken = want.Driver, want.AllowNoIOMMU, want.VFToken
		provider.Bandwidth = Bandwidth{Egress: 1000 * want.Bandwidth.Egress, Ingress: 1000 * want.Bandwidth.Ingress}
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
			read.unoffered = !read.byPF
		case want != nil && !want.VFs.Contains(one.ID):
			read.barred, read.unoffered = "is not among the config's vfs", true
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
	file, locked := r.locked[one.Address]
	switch {
	case locked:
		return "is locked by sriov-cni: " + file + " names a pod's network namespace that still exists", nil
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
	if use := r.use(link); use != "" {
		return name + " " + use, nil
	}
	return "", nil
}

// use says what the host does with an interface, or nothing. That it is up says nothing: udev and NetworkManager raise
// whatever they find. Neither do its counters, since an interface that is up gets the link's broadcasts and asks for IPv6
// routers by itself, nor packet sockets, which DHCP clients and lldpd have on everything that is up. Who wants to see
// frames without an address makes the interface promiscuous, attaches an XDP program, or puts an interface upon it. The
// flag that an admin or a pod before has set is not counted: nobody need be there.
func (r *reader) use(link vf.Interface) string {
	programs := link.Promiscuity
	if link.Promiscuous {
		programs--
	}
	switch {
	case link.Master != 0:
		return "is a port of a bridge or bond of the host"
	case r.routes[link.Index]:
		return "carries the host's default route"
	case r.addressed[link.Index]:
		return "has an address of the host"
	case r.upon[link.Index] != "":
		return "carries the host's interface " + r.upon[link.Index]
	case link.Up && link.XDP:
		return "is up and has an XDP program of the host"
	case link.Up && programs > 0:
		return "is up and a program of the host listens to all of its frames"
	}
	return ""
}

// whole looks at the PF as something to be given out: never one that the host itself uses.
func (r *reader) whole(pf vf.PF) (*VF, error) {
	whole := &VF{State: Free, VF: vf.VF{
		Address: pf.Address, PF: pf.Address, ID: -1, Driver: pf.Driver, NUMANode: pf.NUMANode, IOMMUGroup: pf.IOMMUGroup,
		Instance: pf.Instance,
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
