package sriovcni

import (
	"bytes"
	"encoding/json"
	"strings"
)

// kind is what a value is in JSON.
type kind int

const (
	null kind = iota
	boolean
	number
	text
	list
	object
)

func (k kind) String() string {
	return [...]string{"null", "true or false", "a number", "a text", "a list", "a map"}[k]
}

// value is a part of a document, in the order of the document and with its line.
type value struct {
	kind kind
	// scalar is a boolean or number as it was written, or what a text means.
	scalar string
	items  []value
	fields []field
	line   int
	// isBlock tells that the lines of a text are lines of the file, the first of them line.
	isBlock bool
}

type field struct {
	key   string
	line  int
	value value
}

// field finds a key, to the letter. A null counts as absent, as it does to every plugin.
func (v value) field(key string) (value, bool) {
	for _, f := range v.fields {
		if f.key == key && f.value.kind != null {
			return f.value, true
		}
	}
	return value{}, false
}

// folded finds a key as Go's JSON does, which the plugins are written with: in upper or lower case.
func (v value) folded(key string) (value, bool) {
	for _, f := range v.fields {
		if strings.EqualFold(f.key, key) && f.value.kind != null {
			return f.value, true
		}
	}
	return value{}, false
}

// isEmpty tells whether a map or list holds nothing.
func (v value) isEmpty() bool { return len(v.fields) == 0 && len(v.items) == 0 }

// textOf makes a text.
func textOf(s string) value { return value{kind: text, scalar: s} }

// MarshalJSON writes the value in the order in which it was read.
func (v value) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	err := v.write(&out)
	return out.Bytes(), err
}

func (v value) write(out *bytes.Buffer) error {
	switch v.kind {
	case null:
		out.WriteString("null")
	case boolean, number:
		out.WriteString(v.scalar)
	case text:
		return writeText(out, v.scalar)
	case list:
		out.WriteByte('[')
		for i, item := range v.items {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := item.write(out); err != nil {
				return err
			}
		}
		out.WriteByte(']')
	case object:
		out.WriteByte('{')
		for i, f := range v.fields {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := writeText(out, f.key); err != nil {
				return err
			}
			out.WriteByte(':')
			if err := f.value.write(out); err != nil {
				return err
			}
		}
		out.WriteByte('}')
	}
	return nil
}

func writeText(out *bytes.Buffer, s string) error {
	quoted, err := json.Marshal(s)
	out.Write(quoted)
	return err
}
