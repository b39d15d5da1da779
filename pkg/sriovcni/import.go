package sriovcni

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// File is a text and what errors call it.
type File struct {
	Name string
	Text []byte
}

// Result is what files of CNI configs are in the words of this daemon.
type Result struct {
	Config      NodeConfig   `json:"config"`
	Annotations []Annotation `json:"annotations"`
	Notes       []Note       `json:"notes"`
}

// Import reads all files. args are the CNI_ARGS that the plugins were called with, and apply to every config. An error
// says all that is broken, one line each, and then there is no result. A result may have no network, when the files hold
// nothing of type sriov; it then has notes that say so.
func Import(files []File, args Args) (*Result, error) {
	sort := &sorting{}
	for _, file := range files {
		documents, broken := readDocuments(file.Name, file.Text)
		sort.broken = append(sort.broken, broken...)
		for _, one := range documents {
			sort.document(one)
		}
		if len(documents) == 0 && len(broken) == 0 {
			sort.broken = append(sort.broken, fmt.Errorf("%s: there is nothing but blanks and comments", printable(file.Name)))
		}
	}
	w := &writing{
		result: Result{
			Config: NodeConfig{APIVersion: config.APIVersion, Kind: config.Kind, Networks: []Network{}},
			Notes:  append([]Note{}, sort.notes...), Annotations: []Annotation{},
		},
		broken: sort.broken, names: names{},
	}
	for _, one := range sort.sources {
		w.source(one, args)
	}
	w.result.Config.Providers = w.providers.list
	if len(w.broken) == 0 && len(w.result.Config.Networks) > 0 {
		w.refusals()
		w.result.Notes = append(w.general(), w.result.Notes...)
	}
	if len(w.broken) > 0 {
		return nil, errors.Join(w.broken...)
	}
	return &w.result, nil
}

// writing puts together what is read.
type writing struct {
	result    Result
	broken    []error
	names     names
	providers providers
	// readings are those of the networks, in the same order.
	readings []*reading
}

func (w *writing) source(s source, args Args) {
	r := &reading{source: s}
	found := r.chain()
	if found {
		r.apply(args)
		if len(r.broken) == 0 {
			w.network(r)
		}
	}
	w.result.Notes = append(w.result.Notes, r.notes...)
	w.broken = append(w.broken, r.broken...)
}

func (w *writing) network(r *reading) {
	n := r.network()
	wanted := r.source.name
	if wanted == "" {
		wanted = r.conf.name
	}
	n.Name = w.names.unique(wanted, r.source.namespace)
	at := field{key: "name", line: r.source.config.line}
	switch {
	case wanted == "":
		r.remark(at, "the config has none; its network is called %s", n.Name)
	case n.Name != wanted:
		r.remark(at, "%s is taken, or no name for a network; the network is called %s", strictyaml.Quote(wanted), n.Name)
	}
	if r.conf.name != "" && r.conf.name != wanted {
		r.remark(at, "the config calls itself %s, its manifest %s; the network has the manifest's name",
			strictyaml.Quote(r.conf.name), strictyaml.Quote(wanted))
	}
	if pf := r.conf.pf; pf != "" {
		at := field{key: r.conf.pfKey, line: r.conf.pfLine}
		if r.conf.deviceID || r.source.resourceName != "" {
			r.lost(at, "the plugin took the PF of the VF that it was given; under providers, pf: %s would offer that PF and no other", pf)
		} else {
			n.Required = []string{w.providers.trait(pf)}
		}
	}
	w.result.Annotations = append(w.result.Annotations, r.annotation(n.Name))
	w.result.Config.Networks = append(w.result.Config.Networks, n)
	w.readings = append(w.readings, r)
}

// general are the notes that are the same for all networks, once each.
func (w *writing) general() []Note {
	var notes []Note
	add := func(when func(i int, n Network) bool, format string, args ...any) {
		var which []string
		for i, n := range w.result.Config.Networks {
			if when(i, n) {
				which = append(which, n.Name)
			}
		}
		if len(which) > 0 {
			message := fmt.Sprintf(format, args...)
			notes = append(notes, Note{Kind: Remark, Message: strings.Join(which, ", ") + ": " + message})
		}
	}
	add(func(_ int, n Network) bool {
		return n.ResourceClass == "" && (n.VLAN == nil || n.SpoofCheck == nil || n.Trust == nil || n.LinkState == "" ||
			n.MinTxRate == nil && n.MaxTxRate == nil)
	}, "what the config does not name, sriov-cni leaves on the VF as it was; here it is set to its default: no VLAN, "+
		"spoof checking on, no trust, no limit of the rate, link state auto")
	add(func(_ int, n Network) bool { return n.Namespaces == nil },
		"the input names no namespace, so pods of every namespace may use it; namespaces restricts that")
	add(func(_ int, n Network) bool { return n.Namespaces != nil },
		"pods of the manifest's namespace may use it; where Multus let those of others name it, add them to namespaces")
	add(func(_ int, n Network) bool { return len(n.Allow) > 0 },
		"what allow lets a pod choose is bounded by macPrefix and subnets only; add what is missing")
	add(func(_ int, n Network) bool { return n.IPAM != nil && !n.IPAM.isStatic() },
		"the IPAM plugin is asked under the name nri-sriov-<network>, so one that keeps leases by name, as host-local does, "+
			"does not know those of pods that sriov-cni still serves: drain the node first")
	add(func(_ int, n Network) bool { return n.ResourceName != "" && n.Device == "" },
		"whether the VFs of a resource are netdevs or bound to vfio-pci is not said in a manifest; for vfio-pci, say device: vfio")
	add(func(_ int, n Network) bool { return len(w.result.Config.Providers) > 0 && n.Required == nil },
		"providers holds the PFs that other configs name, and no VF of another PF is offered; add those of this network")
	return notes
}
