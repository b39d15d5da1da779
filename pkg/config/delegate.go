package config

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/cni"
	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// What the configuration of a plugin may be at most: lists and maps in each other, the ipam map itself counted, and
// bytes of JSON.
const (
	maxDelegateDepth = 8
	maxDelegateSize  = 16 << 10
)

// delegated takes the configuration of an IPAM plugin over as JSON. Its keys are the plugin's to judge.
func (v validation) delegated(path, name string, value strictyaml.Value) *DelegatedIPAM {
	if err := cni.CheckPluginType(name); err != nil {
		v.Addf(path+".type", "%s; static is built in", err)
		return nil
	}
	tree := v.tree(value, 1)
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(tree); err != nil {
		panic("a tree of maps, lists and scalars is no JSON: " + err.Error())
	}
	config := bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	if len(config) > maxDelegateSize {
		v.Addf(path, "the configuration has more than %d bytes of JSON (16 KiB)", maxDelegateSize)
	}
	return &DelegatedIPAM{Type: name, Config: config}
}

// tree is a value as encoding/json writes it: maps with their keys in order, and every scalar of the type that it has in
// YAML. What strictyaml takes for ambiguous is refused, as it is everywhere else.
func (v validation) tree(value strictyaml.Value, depth int) any {
	kind := value.Kind()
	if depth > maxDelegateDepth && (kind == strictyaml.List || kind == strictyaml.Map) {
		v.Addf(value.Path(), "lists and maps lie more than %d deep in each other", maxDelegateDepth)
		return nil
	}
	switch kind {
	case strictyaml.Map:
		return v.fields(value, depth)
	case strictyaml.List:
		items := []any{}
		for _, item := range value.Items() {
			items = append(items, v.tree(item, depth+1))
		}
		return items
	case strictyaml.Bool:
		return decoded[bool](v, value)
	case strictyaml.Number:
		return decoded[int](v, value)
	}
	return decoded[string](v, value)
}

func (v validation) fields(value strictyaml.Value, depth int) map[string]any {
	fields := map[string]any{}
	for _, key := range v.keys[value.Path()] {
		field := value.Field(key)
		if field.Kind() == strictyaml.Absent {
			v.Addf(value.Path()+"["+key+"]", "a key in a plugin's configuration has 1 to 64 of A-Z, a-z, 0-9, _ and -")
			continue
		}
		fields[key] = v.tree(field, depth+1)
	}
	return fields
}

func decoded[T any](v validation, value strictyaml.Value) T {
	var scalar T
	v.Add(value.Decode(&scalar))
	return scalar
}

// keysOf finds the keys of every map of a document by the places that the document has: place.key, or place["key"] for
// a key that is no plain word, which comes back in its quotes; place[0] is in a list.
func keysOf(lines strictyaml.Lines) map[string][]string {
	keys := map[string][]string{}
	for path := range lines {
		cut := strings.LastIndexAny(path, ".[")
		switch {
		case cut < 0: // a key of the document itself
		case path[cut] == '.':
			keys[path[:cut]] = append(keys[path[:cut]], path[cut+1:])
		case strings.HasPrefix(path[cut:], `["`):
			keys[path[:cut]] = append(keys[path[:cut]], strings.TrimSuffix(path[cut+1:], "]"))
		}
	}
	for _, each := range keys {
		slices.Sort(each) // so that errors have an order
	}
	return keys
}
