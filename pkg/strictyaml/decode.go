package strictyaml

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Decode parses a text and decodes it into a pointer to a struct, as Parse and Value.Decode do.
func Decode(text []byte, into any) (Lines, error) {
	root, err := Parse(text)
	if err != nil {
		return nil, err
	}
	return root.Lines(), root.Decode(into)
}

var valueType = reflect.TypeFor[Value]()

// Decode writes the value to what into points to: a string, bool, int, struct, Value, or a slice of or pointer to such.
// A struct's field is known by its `yaml:"key"` tag and keeps its content when the key is absent. A null is refused
// everywhere but in a Value. The error is of type Errors and holds all that is wrong; what was decoded is then
// of no use. A type that Decode does not know is a mistake of the caller and panics.
func (v Value) Decode(into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		panic(fmt.Sprintf("strictyaml decodes into a pointer, not into %T", into))
	}
	d := decoding{problems: v.Problems()}
	d.value(v, target.Elem())
	return d.problems.Err()
}

type decoding struct{ problems *Problems }

func (d decoding) refuse(v Value, format string, args ...any) {
	d.problems.Addf(v.path, format, args...)
}

func (d decoding) value(v Value, target reflect.Value) {
	if target.Type() == valueType {
		target.Set(reflect.ValueOf(v))
		return
	}
	kind := v.Kind()
	if kind == Null || kind == Absent {
		d.refuse(v, "there is no value")
		return
	}
	switch target.Kind() {
	case reflect.Pointer:
		target.Set(reflect.New(target.Type().Elem()))
		d.value(v, target.Elem())
	case reflect.Struct:
		d.fields(v, kind, target)
	case reflect.Slice:
		d.items(v, kind, target)
	case reflect.String:
		d.text(v, kind, target)
	case reflect.Bool:
		d.boolean(v, kind, target)
	case reflect.Int:
		d.number(v, kind, target)
	default:
		panic("strictyaml cannot decode into " + target.Type().String())
	}
}

func (d decoding) fields(v Value, kind Kind, target reflect.Value) {
	if kind != Map {
		d.refuse(v, "this must be a map, not %s", kind)
		return
	}
	known := make([]string, target.NumField())
	for i := range known {
		known[i] = target.Type().Field(i).Tag.Get("yaml")
		if field := v.Field(known[i]); field.Kind() != Absent {
			d.value(field, target.Field(i))
		}
	}
	d.unknown(v, known)
}

func (d decoding) unknown(v Value, known []string) {
	for i := 0; i < len(v.node.Content); i += 2 {
		key := v.node.Content[i]
		if !slices.Contains(known, key.Value) {
			d.problems.add(&Error{Line: key.Line, Path: v.path, Message: fmt.Sprintf(
				"unknown key %s; known here are %s", Quote(key.Value), strings.Join(known, ", "))})
		}
	}
}

func (d decoding) items(v Value, kind Kind, target reflect.Value) {
	if kind != List {
		d.refuse(v, "this must be a list, not %s", kind)
		return
	}
	items := v.Items()
	target.Set(reflect.MakeSlice(target.Type(), len(items), len(items)))
	for i, item := range items {
		d.value(item, target.Index(i))
	}
}

func (d decoding) text(v Value, kind Kind, target reflect.Value) {
	switch kind {
	case Text:
		target.SetString(v.node.Value)
	case List, Map:
		d.refuse(v, "this must be a text, not %s", kind)
	case Ambiguous:
		d.refuse(v, "%s without quotes is not a text to every reader of YAML; it needs quotes", Quote(v.node.Value))
	default:
		d.refuse(v, "%s without quotes is %s; as a text it needs quotes", Quote(v.node.Value), kind)
	}
}

func (d decoding) boolean(v Value, kind Kind, target reflect.Value) {
	switch {
	case kind == Bool:
		target.SetBool(v.node.Value == "true")
	case kind == List || kind == Map:
		d.refuse(v, "this must be true or false, not %s", kind)
	case kind == Text && (v.node.Value == "true" || v.node.Value == "false"):
		d.refuse(v, "%q is a text; write it without quotes", v.node.Value)
	default:
		d.refuse(v, "%s is neither true nor false", Quote(v.node.Value))
	}
}

func (d decoding) number(v Value, kind Kind, target reflect.Value) {
	switch {
	case kind == Number:
		n, err := strconv.Atoi(v.node.Value)
		if err != nil {
			d.refuse(v, "%s is out of range", Quote(v.node.Value))
			return
		}
		target.SetInt(int64(n))
	case kind == List || kind == Map:
		d.refuse(v, "this must be a number, not %s", kind)
	case kind == Text && plainNumber.MatchString(v.node.Value):
		d.refuse(v, "%s is a text; write it without quotes", Quote(v.node.Value))
	default:
		d.refuse(v, "%s is not a whole decimal number", Quote(v.node.Value))
	}
}
