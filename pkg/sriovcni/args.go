package sriovcni

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// Args are the pairs of CNI_ARGS.
type Args struct{ fields []field }

// ParseArgs reads CNI_ARGS as plugins do: KEY=VALUE pairs with semicolons between them. An empty text has none.
func ParseArgs(content string) (Args, error) {
	var args Args
	if content == "" {
		return args, nil
	}
	for pair := range strings.SplitSeq(content, ";") {
		key, v, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return Args{}, fmt.Errorf("%s is not a pair KEY=VALUE of CNI_ARGS", strictyaml.Quote(pair))
		}
		args.fields = append(args.fields, field{key: key, value: textOf(v)})
	}
	return args, nil
}

// argOptions are the keys of CNI_ARGS, and of args.cni. All values are texts, or may be.
var argOptions = map[string]option{
	"vlan": {read: func(r *reading, f field) {
		if f = asNumber(f); f.value.scalar != "0" { // 0 is unset to hustcat's plugin
			if n := r.number(f, 0, 4094); n != nil {
				r.conf.vlan = n
				r.conf.vfSettingKeys = append(r.conf.vfSettingKeys, f)
			}
		}
	}},
	"vf":  {read: func(r *reading, f field) { r.vfNumber(asNumber(f)) }},
	"mac": {read: func(r *reading, f field) { r.address(f) }},
	"ip":  {read: func(r *reading, f field) { r.ip(f, r.text(f)) }},
	"ips": {read: (*reading).ips},

	"gateway":       {why: "a pod names its addresses only; the network's routes name gateways"},
	"ignoreunknown": {why: "it is for the plugin's parser"},
}

func asNumber(f field) field {
	if _, err := strconv.Atoi(f.value.scalar); err == nil {
		f.value.kind = number
	}
	return f
}

// apply reads CNI_ARGS after the config, which they override.
func (r *reading) apply(args Args) {
	r.path = "CNI_ARGS."
	r.conf.readFromArgsOnly = slices.DeleteFunc(r.conf.readFromArgsOnly, func(f field) bool {
		_, overridden := value{kind: object, fields: args.fields}.folded(f.key)
		return overridden
	})
	r.fields(value{kind: object, fields: args.fields}, argOptions, func(f field) {
		r.lost(f, "no plugin sriov knows it")
	})
	r.path = ""
}

// ip takes an address that a pod asks for. CNI_ARGS have it without the length of its prefix, which the subnet of ipam
// tells.
func (r *reading) ip(f field, content string) {
	if addr, err := netip.ParseAddr(content); err == nil {
		subnet, _ := r.conf.ipam.field("subnet")
		prefix, err := netip.ParsePrefix(strings.Join(append(r.conf.subnets, subnet.scalar), ""))
		if err != nil || !prefix.Contains(addr) {
			r.lost(f, "%s lacks the length of its prefix; a pod writes its ips as in 192.0.2.10/24", addr)
			r.conf.capableOfIPs = true
			return
		}
		content = netip.PrefixFrom(addr, prefix.Bits()).String()
	}
	prefix, err := config.ParseInterfaceAddress(content)
	if err != nil {
		r.wrong(f, "%s", err)
		return
	}
	r.conf.ips = append(r.conf.ips, prefix.String())
}
