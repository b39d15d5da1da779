package attach

import (
	"encoding/json"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Resting is how a VF lies in the host while nobody has it.
type Resting struct {
	// Interface is its name there.
	Interface string `json:"interface"`
	MAC       vf.MAC `json:"mac"`
	// MTU is in bytes.
	MTU int `json:"mtu"`
	// Alias is what the host's admin has written on it.
	Alias string `json:"alias,omitempty"`
}

// markPrefix begins the alias of a VF that is with a pod.
const markPrefix = "nri-sriov "

// mark is the resting state as an alias of the interface: it travels with the VF, so that a VF which comes home while
// the journal is lost is known for what it was. The kernel allows 256 bytes; an admin's alias that does not fit is
// left out of the mark, not out of the journal.
func (r Resting) mark() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic("a resting state that JSON cannot hold: " + err.Error())
	}
	if len(markPrefix)+len(text) >= 256 {
		r.Alias = ""
		return r.mark()
	}
	return markPrefix + string(text)
}

// restingOf tells how an interface in the host rests: as it is, or as its mark says where it still has one.
func restingOf(link vf.Interface) (resting Resting, marked bool) {
	resting = Resting{Interface: link.Name, MAC: link.MAC, MTU: link.MTU, Alias: link.Alias}
	text, marked := strings.CutPrefix(link.Alias, markPrefix)
	if !marked {
		return resting, false
	}
	var before Resting
	if json.Unmarshal([]byte(text), &before) != nil || before.Interface == "" || before.MAC.IsZero() || before.MTU == 0 {
		resting.Alias, resting.MAC = "", randomMAC() // a pod wrote on it; its address may be one of a pod, too
		return resting, true
	}
	return before, true
}
