package sriovcni

import (
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// netconf is the valid config of a plugin sriov, in the words of all its dialects.
type netconf struct {
	name, cniVersion string
	// pf is master or if0.
	pf string
	// pfLine and pfKey are where it stands.
	pfLine int
	pfKey  string
	// deviceID tells that the config itself names a VF.
	deviceID bool
	// interfaceName is if0name.
	interfaceName     string
	interfaceNameLine int
	// hasOwnKeys tells that a key is there that hustcat's plugin does not know.
	hasOwnKeys bool

	vlan, vlanQoS              *int
	vlanLine                   int
	vlanProtocol               string
	spoofCheck, trust          *bool
	minTxRate, maxTxRate       *int
	linkState                  string
	mtu                        int
	mac                        vf.MAC
	macLine                    int
	ips                        []string
	capableOfMAC, capableOfIPs bool
	pfOnly, l2Only, dpdk       bool
	// ipam is a map with a type, or null.
	ipam     value
	ipamLine int
	// routes and subnets are those of fixipam.
	routes           []Route
	subnets          []string
	vfSettingKeys    []field // those that only a VF can have
	readFromArgsOnly []field // those that hustcat's plugin takes from CNI_ARGS
}

// option is what is done with a key of a config. Without read, the key has no equal, and why says what to do instead.
type option struct {
	read func(r *reading, f field)
	why  string
}

// options are the keys that the four plugins know, as encoding/json matches them: in lower case.
var options = map[string]option{
	"type":       {read: func(*reading, field) {}}, // known by it
	"name":       {read: func(r *reading, f field) { r.conf.name = r.text(f) }},
	"cniversion": {read: (*reading).cniVersion},
	"ipam":       {read: (*reading).ipam},
	"dns":        {read: (*reading).dns},
	"prevresult": {why: "it belongs to one pod that was"},

	// k8snetworkplumbingwg
	"deviceid":      {read: (*reading).deviceID},
	"vlan":          {read: (*reading).vlan},
	"vlanqos":       {read: (*reading).vlanQoS},
	"vlanproto":     {read: (*reading).vlanProtocol},
	"mac":           {read: (*reading).mac},
	"spoofchk":      {read: func(r *reading, f field) { r.conf.spoofCheck = r.onOff(f, "spoof checking", "spoofCheck") }},
	"trust":         {read: func(r *reading, f field) { r.conf.trust = r.onOff(f, "trust", "trust") }},
	"min_tx_rate":   {read: func(r *reading, f field) { r.conf.minTxRate = r.rate(f) }},
	"max_tx_rate":   {read: func(r *reading, f field) { r.conf.maxTxRate = r.rate(f) }},
	"link_state":    {read: (*reading).linkState},
	"loglevel":      {why: "the daemon has one log for all networks; nri-sriov run --log-level sets its level"},
	"logfile":       {why: "the daemon logs to standard error, which its systemd unit sends to the journal"},
	"runtimeconfig": {read: (*reading).runtimeConfig},
	"capabilities":  {read: (*reading).capabilities},
	"args":          {read: (*reading).args},
	"vfid":          {why: internal},
	"origvfstate":   {why: internal + "; the daemon sets a VF back to declared defaults, not to what was there before"},
	"contifnames":   {why: internal},
	"mtu":           {why: "the plugin overwrites it, so it had no effect; the network's mtu sets it, if that was meant"},
	"vlan_trunk":    {why: "a VF here has one VLAN; no driver-independent trunk exists"},

	// Intel
	"master":     {read: (*reading).pf},
	"if0":        {read: (*reading).pf},
	"if0name":    {read: (*reading).interfaceName},
	"l2enable":   {read: func(r *reading, f field) { r.conf.l2Only = r.flag(f) }},
	"dpdk":       {read: (*reading).dpdk},
	"cnidir":     {why: "the daemon keeps its state in nri-sriov run --state-dir"},
	"dpdkmode":   {why: internal + "; the daemon decides by the network's device"},
	"sharedvf":   {why: internal + "; the daemon sees by itself when a VF has two ports, and gives the pod both: NAME and NAMEd1"},
	"deviceinfo": {why: internal + "; containers read it in /run/nri-sriov/networks.json"},

	// xftony
	"pfonly":   {read: func(r *reading, f field) { r.conf.pfOnly = r.flag(f) }},
	"pci_addr": {why: internal + "; containers read it in /run/nri-sriov/networks.json"},

	// hustcat: in CNI_ARGS, but its own example has it here
	"vf": {read: (*reading).vfNumber},
}

const internal = "the plugin writes it for itself"

// notHustcat are the keys that mark every dialect but hustcat's.
var notHustcat = []string{
	"if0", "if0name", "l2enable", "dpdk", "cnidir", "sharedvf", "deviceid", "vlanqos", "vlanproto", "spoofchk", "trust",
	"min_tx_rate", "max_tx_rate", "link_state",
}

// onlyVF are the keys that set something that a PF has for its VFs only.
var onlyVF = []string{"vlan", "vlanqos", "vlanproto", "spoofchk", "trust", "min_tx_rate", "max_tx_rate", "link_state"}

// resembling finds the option that an unknown key is probably meant to be: max-tx-rate or maxTxRate for max_tx_rate.
func resembling(key string) (string, bool) {
	bare := strings.NewReplacer("_", "", "-", "")
	wanted := bare.Replace(strings.ToLower(key))
	switch wanted { // our own names, which are not theirs
	case "spoofcheck":
		return "spoofchk", true
	case "vlanid":
		return "vlan", true
	case "vlanprotocol":
		return "vlanProto", true
	}
	for known := range options {
		if bare.Replace(known) == wanted {
			return known, true
		}
	}
	return "", false
}
