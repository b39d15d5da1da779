package placement

import (
	_ "embed" // the list of standard traits
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// standardClasses are known to everybody: those of https://opendev.org/openstack/os-resource-classes (release 1.1.0), and
// SRIOV_NET_PF, this project's own for a whole PF.
var standardClasses = setOf("VCPU", "MEMORY_MB", "DISK_GB", "PCI_DEVICE", "SRIOV_NET_VF", "NUMA_SOCKET", "NUMA_CORE",
	"NUMA_THREAD", "NUMA_MEMORY_MB", "IPV4_ADDRESS", "VGPU", "VGPU_DISPLAY_HEAD", "NET_BW_EGR_KILOBIT_PER_SEC",
	"NET_BW_IGR_KILOBIT_PER_SEC", "PCPU", "MEM_ENCRYPTION_CONTEXT", "FPGA", "PGPU", "NET_PACKET_RATE_KILOPACKET_PER_SEC",
	"NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC", "NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC", "SRIOV_NET_PF")

//go:embed standard-traits.txt
var standardTraitLines string

var standardTraits = sync.OnceValue(func() map[string]bool {
	traits := map[string]bool{}
	for line := range strings.Lines(standardTraitLines) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			traits[line] = true
		}
	}
	return traits
})

// sharingTrait marks a provider that serves other trees, which is not supported.
const sharingTrait = "MISC_SHARES_VIA_AGGREGATE"

var (
	// Names of traits and of resource classes.
	plainName = regexp.MustCompile(`^[A-Z0-9_]{1,255}$`)
	// A suffix of microversion 1.33 and later.
	plainSuffix = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// quote puts a foreign text into quotes for a sentence and cuts what is long.
func quote(text string) string {
	const longest = 80
	if len(text) <= longest {
		return strconv.Quote(text)
	}
	return strconv.Quote(strings.ToValidUTF8(text[:longest], "")) + "…"
}
