package sriovcni

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// reading is the way from a source to a netconf. It collects what is noted and what is wrong on the way.
type reading struct {
	source source
	conf   netconf
	notes  []Note
	broken []error
	// path is where the fields that are read stand, such as "dpdk."; empty in the config itself.
	path string
}

func (r *reading) note(kind string, f field, format string, args ...any) {
	r.notes = append(r.notes, Note{kind, r.source.file, f.line, r.path + f.key, fmt.Sprintf(format, args...)})
}

// lost names a key that has no equal.
func (r *reading) lost(f field, format string, args ...any) {
	r.note(NotCarriedOver, f, format, args...)
}

func (r *reading) remark(f field, format string, args ...any) { r.note(Remark, f, format, args...) }

// wrong reports a value that no plugin would take either.
func (r *reading) wrong(f field, format string, args ...any) {
	subject := r.path + f.key
	if r.source.isDefinition() {
		subject = r.source.manifest + ": spec.config: " + subject
	}
	r.broken = append(r.broken, r.source.errorf(f.line, printable(subject), format, args...))
}

// fields reads the keys of a map by a table. A null is as good as no key, as it is to encoding/json.
func (r *reading) fields(config value, known map[string]option, unknown func(field)) {
	first := map[string]field{}
	for _, f := range config.fields {
		key := strings.ToLower(f.key)
		if earlier, twice := first[key]; twice {
			r.wrong(f, "it is the same key as %s in line %d", strictyaml.Quote(earlier.key), earlier.line)
			continue
		}
		first[key] = f
		option, ok := known[key]
		switch {
		case !ok:
			unknown(f)
		case f.value.kind == null:
		case option.read == nil:
			r.lost(f, "%s", option.why)
		default:
			option.read(r, f)
		}
	}
}

// below reads the keys of a map that is itself the value of f.
func (r *reading) below(f field, known map[string]option, unknown func(field)) {
	if !r.is(f, object) {
		return
	}
	before := r.path
	r.path = before + f.key + "."
	r.fields(f.value, known, unknown)
	r.path = before
}

// is reports a value of another kind than a plugin would take.
func (r *reading) is(f field, want kind) bool {
	if f.value.kind != want {
		r.wrong(f, "this is %s; it must be %s", f.value.kind, want)
	}
	return f.value.kind == want
}

func (r *reading) text(f field) string {
	if !r.is(f, text) {
		return ""
	}
	return f.value.scalar
}

func (r *reading) flag(f field) bool { return r.is(f, boolean) && f.value.scalar == "true" }

// number is nil when the value is wrong.
func (r *reading) number(f field, least, most int) *int {
	if !r.is(f, number) {
		return nil
	}
	n, err := strconv.Atoi(f.value.scalar)
	if err != nil || n < least || n > most {
		r.wrong(f, "%s is not a whole number from %d to %d", f.value.scalar, least, most)
		return nil
	}
	return &n
}

// onOff reads spoofchk and trust as the plugin does: it compares with "on", and calls everything else off.
func (r *reading) onOff(f field, what, ours string) *bool {
	word := r.text(f)
	if word == "" {
		return nil // to the plugin, absent
	}
	on := word == "on"
	if !on && word != "off" {
		r.remark(f, "%s is neither on nor off, which the plugin takes for off; so %s is off here, too. If on was meant, say %s: true",
			strictyaml.Quote(word), what, ours)
	}
	return &on
}

const maxRate = 1<<32 - 1

func (r *reading) rate(f field) *int { return r.number(f, 0, maxRate) }

func (r *reading) vlan(f field) {
	if r.conf.vlan = r.number(f, 0, 4094); r.conf.vlan != nil {
		r.conf.vlanLine = f.line
		r.conf.readFromArgsOnly = append(r.conf.readFromArgsOnly, f)
	}
}

func (r *reading) vlanQoS(f field) { r.conf.vlanQoS = r.number(f, 0, 7) }

func (r *reading) vlanProtocol(f field) {
	protocol := strings.ToLower(r.text(f))
	if f.value.kind == text && protocol != "802.1q" && protocol != "802.1ad" {
		r.wrong(f, "%s is neither 802.1q nor 802.1ad", strictyaml.Quote(f.value.scalar))
	}
	r.conf.vlanProtocol = protocol
}

func (r *reading) linkState(f field) {
	state := r.text(f)
	if state != "" && !slices.Contains([]string{"auto", "enable", "disable"}, state) {
		r.wrong(f, "%s is none of auto, enable, disable", strictyaml.Quote(state))
	}
	r.conf.linkState = state
}

func (r *reading) mac(f field) {
	if r.address(f) && r.path == "" {
		r.conf.readFromArgsOnly = append(r.conf.readFromArgsOnly, f)
	}
}

func (r *reading) address(f field) bool {
	content := r.text(f)
	if content == "" {
		return false
	}
	mac, err := vf.ParseMAC(content)
	if err != nil {
		r.wrong(f, "%s is not the MAC address of an interface, such as 02:00:00:00:00:11", strictyaml.Quote(content))
		return false
	}
	r.conf.mac, r.conf.macLine = mac, f.line
	return true
}

// finish checks what depends on more than one key, as the plugin does before it touches a VF.
func (r *reading) finish(config value) {
	r.path = ""
	at := func(key string) field {
		for _, f := range config.fields {
			if strings.EqualFold(f.key, key) {
				return f
			}
		}
		return field{key: key, line: config.line}
	}
	c := &r.conf
	switch qos := c.vlanQoS; {
	case c.vlan == nil && qos != nil:
		r.wrong(at("vlanQoS"), "it needs a vlan")
	case c.vlan != nil && *c.vlan == 0 && qos != nil && *qos != 0:
		r.wrong(at("vlanQoS"), "%d needs a vlan from 1 to 4094", *qos)
	}
	switch {
	case c.vlan == nil && c.vlanProtocol != "":
		r.wrong(at("vlanProto"), "it needs a vlan")
	case c.vlan != nil && *c.vlan == 0 && c.vlanProtocol == "802.1ad":
		r.wrong(at("vlanProto"), "802.1ad needs a vlan from 1 to 4094")
	}
	if c.minTxRate != nil && c.maxTxRate != nil && *c.maxTxRate != 0 && *c.minTxRate > *c.maxTxRate {
		r.wrong(at("min_tx_rate"), "%d is more than max_tx_rate, which is %d", *c.minTxRate, *c.maxTxRate)
	}
	for _, f := range config.fields {
		key := strings.ToLower(f.key)
		if f.value.kind == null {
			continue
		}
		if slices.Contains(onlyVF, key) {
			c.vfSettingKeys = append(c.vfSettingKeys, f)
		}
		c.hasOwnKeys = c.hasOwnKeys || slices.Contains(notHustcat, key)
	}
}
