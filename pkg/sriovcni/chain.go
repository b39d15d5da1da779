package sriovcni

import (
	"fmt"
	"strings"
)

// pluginType is the type that all four plugins have.
const pluginType = "sriov"

// plugin is a plugin of a chain and how its place is called.
type plugin struct {
	config value
	kind   string
	path   string
}

// plugins are those of a list, or the only one; ok is false when the config is broken, which is reported.
func (r *reading) plugins() (chain []plugin, ok bool) {
	root := r.source.config
	listed, isList := root.folded("plugins")
	if !isList {
		kind, _ := root.folded("type")
		return []plugin{{root, kind.scalar, ""}}, true
	}
	if !r.is(field{"plugins", listed.line, listed}, list) {
		return nil, false
	}
	for i, item := range listed.items {
		path := fmt.Sprintf("plugins[%d]", i)
		kind, _ := item.folded("type")
		if kind.kind != text || kind.scalar == "" {
			r.wrong(field{key: path, line: item.line}, "type is missing")
			return nil, false
		}
		chain = append(chain, plugin{item, kind.scalar, path + "."})
	}
	return chain, true
}

// listKeys are those of a list of plugins.
var listKeys = map[string]option{
	"name":         options["name"],
	"cniversion":   options["cniversion"],
	"plugins":      {read: func(*reading, field) {}},
	"cniversions":  {why: "a network here reports its results in one version, its cniVersion"},
	"disablecheck": {why: "the daemon reads every VF back when it applies and when it resets it"},
	"disablegc":    {why: "the daemon gives back what a sandbox held, whatever a runtime calls"},

	"loadonlyinlinedplugins": {why: "the daemon loads no plugins from a folder"},
}

// chain reads the one plugin sriov of a config, and what stands around it. It tells whether there is one.
func (r *reading) chain() bool {
	chain, ok := r.plugins()
	if !ok {
		return false
	}
	var sriov []plugin
	for _, one := range chain {
		if one.kind == pluginType {
			sriov = append(sriov, one)
		}
	}
	if len(sriov) == 0 {
		for _, one := range chain {
			r.lost(field{key: one.path + "type", line: one.config.line}, "%s is not sriov, which alone is read", printable(one.kind))
		}
		return false
	}
	if len(sriov) > 1 {
		r.wrong(field{key: "plugins", line: sriov[1].config.line}, "sriov is there twice; both would make the same interface")
		return false
	}
	r.fields(sriov[0].config, options, r.unknown)
	if sriov[0].path != "" {
		r.fields(r.source.config, listKeys, func(f field) { r.lost(f, "a list of plugins has no such key, so it had no effect") })
	}
	for _, one := range chain {
		if one.kind != pluginType {
			r.neighbour(one)
		}
	}
	r.finish(sriov[0].config)
	return true
}

// neighbours says what to do instead of plugins that are often chained to sriov.
var neighbours = map[string]string{
	"sbr":       "a network's routes are in the main table; rules for source addresses are the pod's own",
	"vrf":       "the pod makes the VRF itself, which needs CAP_NET_ADMIN",
	"bandwidth": "maxTxRate of the network (Mbit/s) limits what a VF sends; what it receives is not limited",
	"portmap":   "a VF has no bridge of the node before it; use a Service, or the pod's own address",
	"firewall":  "packets of a VF do not pass the node's firewall; use the NIC's or the switch's",
}

// neighbour takes over what it can of another plugin of the chain.
func (r *reading) neighbour(one plugin) {
	r.path = one.path
	defer func() { r.path = "" }()
	if one.kind == "tuning" {
		r.fields(one.config, tuning, func(f field) { r.lost(f, "the plugin tuning does not know it either") })
		return
	}
	why, ok := neighbours[one.kind]
	if !ok {
		why = "the daemon runs no other plugins on an interface that it gives"
	}
	var keys []string
	for _, f := range one.config.fields {
		if !strings.EqualFold(f.key, "type") {
			keys = append(keys, printable(f.key))
		}
	}
	what := "plugin " + printable(one.kind)
	if len(keys) > 0 {
		what += " (" + strings.Join(keys, ", ") + ")"
	}
	r.lost(field{key: "type", line: one.config.line}, "%s: %s", what, why)
}

// tuning are the keys of the plugin tuning: https://www.cni.dev/plugins/current/meta/tuning/
var tuning = map[string]option{
	"type":         {read: func(*reading, field) {}},
	"name":         {read: func(*reading, field) {}}, // the list's, which the runtime puts here
	"cniversion":   {read: func(*reading, field) {}},
	"mac":          {read: func(r *reading, f field) { r.address(f) }},
	"mtu":          {read: (*reading).mtu},
	"capabilities": options["capabilities"],
	"promisc":      {read: (*reading).receiveMode},
	"allmulti":     {read: (*reading).receiveMode},
	"sysctl":       {why: "the pod's securityContext.sysctls, or a container of its own with CAP_NET_ADMIN, sets it"},
	"txqlen":       {why: "the length of a queue stays the driver's; a container with CAP_NET_ADMIN changes it"},
	"datadir":      {why: "the daemon keeps its state in nri-sriov run --state-dir"},

	"runtimeconfig": options["runtimeconfig"],
}

func (r *reading) mtu(f field) {
	if n := r.number(f, 68, 65535); n != nil {
		r.conf.mtu = *n
	}
}

// receiveMode names what a pod can do itself; not to have it is what every VF begins with.
func (r *reading) receiveMode(f field) {
	if r.flag(f) {
		r.lost(f, "with trust: true in the network, a container with CAP_NET_ADMIN turns it on itself: ip link set NAME %s on",
			strings.Replace(strings.ToLower(f.key), "allmulti", "allmulticast", 1))
	}
}
