package check

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
)

const subjectIOMMU = "IOMMU"

// onDemand is the driver that a PF, or a VF that rests in its network driver, is bound to when a pod wants it for vfio.
const onDemand = "vfio-pci"

// needs is what a config asks of the node for devices that user space drives.
type needs struct {
	// drivers are those that VFs are given to, each once; none when the config has nothing to do with such devices.
	drivers []string
	// vfs and wholePFs tell that a network gives VFs or PFs to user space. Without one no pod fails for want of a driver.
	vfs, wholePFs bool
	// isolated tells that some are given to vfio only behind an IOMMU, open names the providers that need none.
	isolated bool
	open     []string
}

func needsOf(node *config.Node) needs {
	var n needs
	for i := range node.Networks {
		if network := &node.Networks[i]; network.Device == config.DeviceVFIO {
			n.vfs = n.vfs || !network.WholePF
			n.wholePFs = n.wholePFs || network.WholePF
		}
	}
	providers := node.Providers
	if node.OfferAll {
		providers = []config.Provider{{}}
	}
	for i := range providers {
		n.add(&providers[i])
	}
	return n
}

func (n *needs) add(provider *config.Provider) {
	driver := provider.Driver
	if driver == "" && (n.pods() || provider.VFToken != "") {
		driver = onDemand
	}
	if driver == "" {
		return
	}
	drivers := []string{driver}
	if n.wholePFs {
		drivers = append(drivers, onDemand)
	}
	for _, each := range drivers {
		if !slices.Contains(n.drivers, each) {
			n.drivers = append(n.drivers, each)
		}
	}
	switch {
	case !slices.ContainsFunc(drivers, dpdk.IsVFIO):
	case provider.AllowNoIOMMU:
		n.open = append(n.open, provider.Name())
	default:
		n.isolated = true
	}
}

// pods tells whether pods can ask for such a device at all.
func (n *needs) pods() bool { return n.vfs || n.wholePFs }

// checkDevices looks at what devices for user space need. Only what keeps pods of this config from working is a failure.
func checkDevices(paths Paths, node *config.Node, providers []*inventory.Provider) []Finding {
	host, err := dpdk.Open(paths.Sysfs, cmp.Or(paths.Dev, "/dev"))
	if err != nil {
		return []Finding{{Failure, subjectIOMMU, err.Error(), "mount sysfs and the device nodes of the host"}}
	}
	defer host.Close()
	n := needsOf(node)
	bad, off := Warning, Warning
	if n.pods() {
		bad = Failure
	}
	if n.isolated {
		off = bad
	}
	findings := []Finding{finding(off, subjectIOMMU)(host.CheckIOMMU())}
	if len(n.drivers) == 0 {
		return findings
	}
	isolating := findings[0].Status == OK
	if len(n.open) > 0 {
		findings = append(findings, checkOpen(host, n.open, isolating, bad)...)
	}
	for _, driver := range n.drivers {
		findings = append(findings, checkDriver(host, driver, bad)...)
	}
	if n.isolated || len(n.open) > 0 {
		findings = append(findings, finding(bad, "vfio")(host.CheckContainerNode()))
	}
	findings = append(findings, finding(Warning, "huge pages")(host.CheckHugepages()))
	if node.Hugepages != "" {
		findings = append(findings, finding(Warning, "hugepages of the config")(dpdk.CheckHugepagesMount(node.Hugepages)))
	}
	if isolating {
		findings = append(findings, checkGroups(host, node, providers, n)...)
	}
	return findings
}

// finding makes a finding of what the checks of pkg/dpdk say.
func finding(bad Status, subject string) func(ok bool, message, mend string) Finding {
	return func(ok bool, message, mend string) Finding {
		if ok {
			return Finding{OK, subject, message, mend}
		}
		return Finding{bad, subject, message, mend}
	}
}

// checkOpen says what it means that VFs are given to vfio without IOMMU.
func checkOpen(host *dpdk.Host, names []string, isolating bool, bad Status) []Finding {
	subject, of := "allowNoIOMMU", " of "+strings.Join(names, ", ")
	if isolating {
		return []Finding{{Warning, subject, of[1:] + " has no effect while the IOMMU is on", "take it away"}}
	}
	return []Finding{
		finding(bad, subject)(host.CheckNoIOMMU()),
		{
			Warning, subject, "whoever drives a VF" + of + " can read and write all of the machine's memory, and needs CAP_SYS_RAWIO",
			"turn the IOMMU on and take it away, unless every pod that may use these VFs is trusted with the machine",
		},
	}
}

func checkDriver(host *dpdk.Host, driver string, bad Status) []Finding {
	subject := "driver " + driver
	findings := []Finding{finding(bad, subject)(host.CheckDriver(driver))}
	if dpdk.IsUIO(driver) {
		findings = append(findings, Finding{
			Warning, subject, "no IOMMU keeps its devices from the machine's memory, and a container that uses one must be root with " +
				"a writable /sys: a privileged one", "driver: vfio-pci, where the machine has an IOMMU",
		})
	}
	return findings
}
