package attach

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Resting is how an interface of a VF lies in the host while nobody has it.
type Resting struct {
	// Interface is its name there.
	Interface string `json:"interface"`
	MAC       vf.MAC `json:"mac"`
	// MTU is in bytes.
	MTU int `json:"mtu"`
	// Up is its administrative state; that of a VF is down, whatever it was.
	Up bool `json:"up,omitempty"`
	// AltNames are the alternative names that the host gave it.
	AltNames []string `json:"altNames,omitempty"`
	// Alias is what the host's admin has written on it.
	Alias string `json:"alias,omitempty"`
}

// markPrefix begins the alias of an interface that is with a pod.
const markPrefix = "nri-sriov "

// maxAlias is IFALIASZ of linux/if.h without the closing zero byte.
const maxAlias = 255

// mark is the resting state as an alias of the interface: it travels with it, so that a VF which comes home while the
// journal is lost is known for what it was. What does not fit is left out of the mark, not out of the journal.
func (r Resting) mark() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic("a resting state that JSON cannot hold: " + err.Error())
	}
	if len(markPrefix)+len(text) <= maxAlias {
		return markPrefix + string(text)
	}
	if r.Alias != "" {
		r.Alias = ""
	} else {
		r.AltNames = nil
	}
	return r.mark()
}

// restingOf tells how an interface in the host rests: as it is, or as its mark says where it still has one.
func restingOf(link vf.Interface) (resting Resting, marked bool) {
	resting = Resting{
		Interface: link.Name, MAC: link.MAC, MTU: link.MTU, Up: link.Up, AltNames: link.AltNames, Alias: link.Alias,
	}
	text, marked := strings.CutPrefix(link.Alias, markPrefix)
	if !marked {
		return resting, false
	}
	before, ok := readMark(text)
	if !ok {
		// A pod wrote on it, and its address may be one of a pod, too.
		resting.Alias, resting.AltNames, resting.MAC = "", nil, randomMAC()
		return resting, true
	}
	return before, true
}

// readMark takes nothing for granted: a pod may have written the mark.
func readMark(text string) (Resting, bool) {
	var r Resting
	if json.Unmarshal([]byte(text), &r) != nil || !fitName(r.Interface) || r.MAC.IsZero() || r.MTU < 68 || r.MTU > 65535 ||
		strings.HasPrefix(r.Alias, markPrefix) || len(r.Alias) > maxAlias {
		return Resting{}, false
	}
	for _, name := range r.AltNames {
		if name == "" || len(name) > 127 || strings.ContainsAny(name, "/%: \t\n\x00") {
			return Resting{}, false
		}
	}
	return r, true
}

// fitName refuses what is no name to Linux, and what stands for every interface in /proc/sys/net.
func fitName(name string) bool {
	reserved := []string{"", ".", "..", "all", "default"}
	return !slices.Contains(reserved, name) && len(name) <= maxInterfaceName && !strings.ContainsAny(name, "/%: \t\n\v\f\r\x00")
}

// printable is the name that an interface has, for the middle of a line. Its pod chose it, and the kernel takes nearly
// every byte.
func printable(name string) string {
	if quoted := strconv.QuoteToASCII(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
