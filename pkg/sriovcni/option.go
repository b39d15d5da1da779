package sriovcni

import (
	"slices"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

func (r *reading) cniVersion(f field) {
	version := r.text(f)
	if !slices.Contains([]string{"", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}, version) {
		r.lost(f, "%s is not a version of the results here: 0.3.1, 0.4.0, 1.0.0 or 1.1.0, which is the default",
			strictyaml.Quote(version))
		return
	}
	r.conf.cniVersion = version
}

func (r *reading) dns(f field) {
	if r.is(f, object) && !f.value.isEmpty() {
		r.lost(f, "Kubernetes takes no name servers from a second interface; the pod's dnsConfig names them, "+
			"and ipam of type static can report them")
	}
}

func (r *reading) deviceID(f field) {
	address := r.text(f)
	if address == "" {
		return
	}
	r.conf.deviceID = true
	if _, err := vf.ParsePCIAddress(address); err != nil {
		r.wrong(f, "%s is not a PCI address such as 0000:01:10.0", strictyaml.Quote(address))
		return
	}
	r.lost(f, "the kubelet or the daemon chooses the VF; to offer just this one, name its PF under providers "+
		`with vfs: "N", N being the number of %s in nri-sriov inventory`, address)
}

func (r *reading) vfNumber(f field) {
	n := r.number(f, 0, config.MaxVFID)
	if n == nil || *n == 0 {
		if n != nil {
			r.lost(f, "0 means any free VF, as here")
		}
		return
	}
	r.lost(f, `the daemon chooses the VF; to offer just this one, say vfs: "%d" in its PF's entry under providers`, *n)
}

func (r *reading) pf(f field) {
	name := r.text(f)
	if name == "" {
		return
	}
	if r.conf.pf != "" && r.conf.pf != name {
		r.wrong(f, "%s and %s are two PFs; a config has one", strictyaml.Quote(r.conf.pf), strictyaml.Quote(name))
		return
	}
	if err := config.CheckInterfaceName(name); err != nil {
		r.wrong(f, "%s", err)
		return
	}
	r.conf.pf, r.conf.pfKey, r.conf.pfLine = name, f.key, f.line
}

func (r *reading) interfaceName(f field) {
	r.conf.interfaceName, r.conf.interfaceNameLine = r.text(f), f.line
}

// dpdkOptions are the keys of Intel's and xftony's dpdk.
var dpdkOptions = map[string]option{
	"kernel_driver": {why: "the daemon gives a VF back to the driver that the kernel chooses for it"},
	"dpdk_driver":   {read: (*reading).dpdkDriver},
	"dpdk_tool":     {why: "the daemon binds drivers through sysfs itself"},
	"pci_addr":      {why: internal + "; containers read it in /run/nri-sriov/networks.json"},
	"ifname":        {why: internal},
	"vfid":          {why: internal},
}

func (r *reading) dpdk(f field) {
	r.below(f, dpdkOptions, func(f field) { r.lost(f, "no plugin sriov knows it, so it had no effect") })
	r.conf.dpdk = f.value.kind == object && !f.value.isEmpty()
}

func (r *reading) dpdkDriver(f field) {
	switch driver := r.text(f); driver {
	case "":
	case "vfio-pci":
		r.remark(f, "a VF is bound to vfio-pci when a pod gets it, and back afterwards; if the PF serves nothing else, "+
			"driver: vfio-pci in its entry under providers lets its free VFs rest there")
	case "igb_uio", "uio_pci_generic":
		r.lost(f, "%s is not used: device vfio means vfio-pci, which needs an IOMMU (nri-sriov check tells); "+
			"driver: %s in the PF's entry under providers uses it, for privileged containers and without the IOMMU's protection",
			strictyaml.Quote(driver), driver)
	default:
		r.lost(f, "%s is not used: device vfio means vfio-pci, which needs an IOMMU (nri-sriov check tells)",
			strictyaml.Quote(driver))
	}
}

func (r *reading) capabilities(f field) {
	flags := map[string]option{
		"mac": {read: func(r *reading, f field) { r.conf.capableOfMAC = r.flag(f) }},
		"ips": {read: func(r *reading, f field) { r.conf.capableOfIPs = r.flag(f) }},
	}
	r.below(f, flags, func(f field) {
		if f.value.scalar != "false" {
			r.lost(f, "a pod may choose its mac and its ips, and nothing else")
		}
	})
}

func (r *reading) runtimeConfig(f field) {
	known := map[string]option{
		"mac": {read: func(r *reading, f field) { r.address(f) }},
		"ips": {read: (*reading).ips},
	}
	r.below(f, known, func(f field) { r.lost(f, "a runtime fills it in for one pod; a pod may say its mac and its ips") })
}

func (r *reading) ips(f field) {
	if !r.is(f, list) {
		return
	}
	for _, item := range f.value.items {
		one := field{f.key, item.line, item}
		if r.is(one, text) {
			r.ip(one, item.scalar)
		}
	}
}

// args reads what CNI's conventions put where CNI_ARGS cannot reach.
func (r *reading) args(f field) {
	known := map[string]option{"cni": {read: func(r *reading, f field) {
		r.below(f, argOptions, func(f field) { r.lost(f, "no plugin sriov knows it") })
	}}}
	r.below(f, known, func(f field) { r.lost(f, "only args.cni has a meaning to plugins") })
}

func (r *reading) unknown(f field) {
	if known, ok := resembling(f.key); ok {
		r.lost(f, "no plugin sriov knows it, so it had no effect; if %s was meant, correct it and import again", known)
		return
	}
	r.lost(f, "no plugin sriov knows it, so it had no effect")
}

// leftOfPF names what a config says of a PF's own VFs when it takes the PF itself.
func (r *reading) leftOfPF() {
	for _, f := range r.conf.vfSettingKeys {
		r.lost(f, "a whole PF has none, only its VFs have; the pod that holds the PF sets what it needs")
	}
}

// ambiguous notes what one of two plugins that share the key master would not have read.
func (r *reading) ambiguous() {
	if r.conf.pf == "" || r.conf.hasOwnKeys || r.source.resourceName != "" {
		return
	}
	for _, f := range r.conf.readFromArgsOnly {
		r.remark(f, "it is carried over; hustcat's plugin takes it from CNI_ARGS only, so to that one it had no effect")
	}
}
