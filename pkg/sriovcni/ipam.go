package sriovcni

import (
	"net/netip"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// ipam passes the config of an IPAM plugin on, which is that plugin's own. Two are known better: static, which the
// daemon does itself and reads strictly, and hustcat's fixipam, which gives what CNI_ARGS say.
func (r *reading) ipam(f field) {
	if !r.is(f, object) {
		return
	}
	kindOf, _ := f.value.folded("type")
	if kindOf.kind != null && kindOf.kind != text {
		r.wrong(f, "type is %s; it must be a text", kindOf.kind)
		return
	}
	r.conf.ipamLine = f.line
	r.path = f.key + "."
	defer func() { r.path = "" }()
	switch name := kindOf.scalar; name {
	case "":
		for _, inner := range f.value.fields {
			if inner.value.kind != null && !strings.EqualFold(inner.key, "type") {
				r.lost(inner, "without a type, no plugin gives addresses")
			}
		}
	case "static":
		r.conf.ipam = r.static(f.value)
		if addresses, ok := r.conf.ipam.field("addresses"); !ok || addresses.isEmpty() {
			r.conf.capableOfIPs = true // else nobody could give any
		}
	case "fixipam":
		r.fixIPAM(f.value)
	default:
		r.conf.ipam = withoutNulls(f.value)
	}
}

// isStatic tells whether the daemon itself gives the addresses, without leases.
func (v value) isStatic() bool {
	kindOf, _ := v.folded("type")
	return kindOf.scalar == "static"
}

// staticKeys are what the daemon knows of static, by the key that is around them.
var staticKeys = map[string][]string{
	"":          {"type", "addresses", "routes", "dns"},
	"addresses": {"address", "gateway"},
	"routes":    {"dst", "gw"},
	"dns":       {"nameservers", "domain", "search", "options"},
}

// static keeps what the daemon knows, in its spelling, and names the rest.
func (r *reading) static(v value) value {
	v = r.kept(v, "")
	for i := range v.fields {
		f := &v.fields[i]
		if _, deeper := staticKeys[f.key]; !deeper {
			continue
		}
		before := r.path
		r.path = before + f.key + "."
		f.value = r.kept(f.value, f.key)
		for j := range f.value.items {
			f.value.items[j] = r.kept(f.value.items[j], f.key)
		}
		r.path = before
	}
	return v
}

func (r *reading) kept(v value, around string) value {
	var fields []field
	for _, f := range v.fields {
		known := spelling(f.key, staticKeys[around])
		switch {
		case f.value.kind == null:
		case known == "":
			r.lost(f, "ipam of type static does not know it here")
		default:
			if f.key = known; known == "dst" {
				f.value = masked(f.value)
			}
			fields = append(fields, f)
		}
	}
	v.fields = fields
	return v
}

func spelling(key string, known []string) string {
	for _, one := range known {
		if strings.EqualFold(key, one) {
			return one
		}
	}
	return ""
}

// masked cuts the host bits of a route's destination, as CNI's own parser does.
func masked(v value) value {
	if prefix, err := netip.ParsePrefix(v.scalar); err == nil {
		v.scalar = prefix.Masked().String()
	}
	return v
}

// fixIPAM turns around who says the address: the pod's ips instead of IP in CNI_ARGS.
func (r *reading) fixIPAM(v value) {
	r.conf.capableOfIPs = true
	gateway, _ := v.folded("gateway")
	r.fields(v, map[string]option{
		"type": {why: "fixipam gives the IP of CNI_ARGS; here the pod says its ips, within the network's subnets"},
		"subnet": {read: func(r *reading, f field) {
			prefix, err := netip.ParsePrefix(r.text(f))
			if err != nil {
				r.wrong(f, "%s is not a subnet such as 192.0.2.0/24", strictyaml.Quote(f.value.scalar))
				return
			}
			r.conf.subnets = []string{prefix.Masked().String()}
		}},
		"gateway": {read: func(r *reading, f field) {
			if routes, _ := v.folded("routes"); routes.isEmpty() {
				r.lost(f, "no route names it")
			}
		}},
		"routes": {read: func(r *reading, f field) {
			if !r.is(f, list) {
				return
			}
			for _, item := range f.value.items {
				dst, _ := item.folded("dst")
				gw, ok := item.folded("gw")
				if !ok {
					gw = gateway
				}
				r.conf.routes = append(r.conf.routes, Route{Dst: masked(dst).scalar, GW: gw.scalar})
			}
		}},
	}, func(f field) { r.lost(f, "the daemon has no such thing") })
}

// withoutNulls leaves away what means absent to Go's JSON.
func withoutNulls(v value) value {
	var fields []field
	for _, f := range v.fields {
		if f.value.kind != null {
			f.value = withoutNulls(f.value)
			fields = append(fields, f)
		}
	}
	v.fields = fields
	for i, item := range v.items {
		v.items[i] = withoutNulls(item)
	}
	return v
}
