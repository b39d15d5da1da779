package strictyaml

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Kind is what a value is, before anybody says what it should be.
type Kind int

// The kinds of values. A text that other readers of YAML take for something else has the kind Ambiguous until it is
// quoted.
const (
	Absent Kind = iota
	Null
	Bool
	Number
	Text
	Ambiguous
	List
	Map
)

// String names the kind for a message.
func (k Kind) String() string {
	switch k {
	case Null:
		return "no value"
	case Bool:
		return "true or false"
	case Number:
		return "a number"
	case Text, Ambiguous:
		return "a text"
	case List:
		return "a list"
	case Map:
		return "a map"
	}
	return "absent"
}

// Value is a part of a document that was read and not yet decoded. It also serves as the type of a struct's field whose
// form depends on what is in it. The zero value is Absent.
type Value struct {
	node  *yaml.Node
	path  string
	lines Lines
}

// Path is the place of the value in its document.
func (v Value) Path() string { return v.path }

// Lines knows the lines of the whole document.
func (v Value) Lines() Lines { return v.lines }

// Problems starts a collection of errors about the document that v is part of.
func (v Value) Problems() *Problems { return NewProblems(v.lines) }

// Kind tells what the value is.
func (v Value) Kind() Kind {
	if v.node == nil {
		return Absent
	}
	return kindOf(v.node)
}

// Scalar is the text of a value that is neither a list nor a map, as it was written, whatever else it may mean.
func (v Value) Scalar() (string, bool) {
	if v.node == nil || v.node.Kind != yaml.ScalarNode {
		return "", false
	}
	return v.node.Value, true
}

// Items are the elements of a list; nil for any other value.
func (v Value) Items() []Value {
	if v.Kind() != List {
		return nil
	}
	items := make([]Value, len(v.node.Content))
	for i, item := range v.node.Content {
		items[i] = Value{node: item, path: indexPath(v.path, i), lines: v.lines}
	}
	return items
}

// Field is the value of a map's key; Absent when v has no such key or is no map.
func (v Value) Field(key string) Value {
	if v.Kind() != Map {
		return Value{}
	}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		if v.node.Content[i].Value == key {
			return Value{node: v.node.Content[i+1], path: keyPath(v.path, key), lines: v.lines}
		}
	}
	return Value{}
}

var (
	plainNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)
	// YAML 1.1 counts in base 60 where it sees colons: https://yaml.org/type/int.html and https://yaml.org/type/float.html
	base60 = regexp.MustCompile(`^([-+]?[1-9][0-9_]*(:[0-5]?[0-9])+|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*)$`)
	// https://yaml.org/type/bool.html, as far as it differs from YAML 1.2.
	oldBool = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false)$`)
)

func kindOf(node *yaml.Node) Kind {
	switch node.Kind {
	case yaml.SequenceNode:
		return List
	case yaml.MappingNode:
		return Map
	}
	if node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return Text
	}
	switch text := node.Value; {
	case text == "true" || text == "false":
		return Bool
	case plainNumber.MatchString(text):
		return Number
	case node.ShortTag() == "!!null":
		return Null
	case node.ShortTag() != "!!str", oldBool.MatchString(text), base60.MatchString(text):
		return Ambiguous
	}
	return Text
}

var simpleKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func keyPath(parent, key string) string {
	switch {
	case !simpleKey.MatchString(key):
		// Lines.At cuts a path at its last dot or bracket; a key that holds one would lead it astray.
		return parent + "[" + strings.Map(noPathMark, Quote(key)) + "]"
	case parent == "":
		return key
	}
	return parent + "." + key
}

func noPathMark(r rune) rune {
	if r == '.' || r == '[' || r == ']' {
		return '_'
	}
	return r
}

func indexPath(parent string, i int) string { return fmt.Sprintf("%s[%d]", parent, i) }
