package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds how deep lists and maps lie in each other.
const maxDepth = 12

// Parse reads a text that holds exactly one document and checks its form. The error is of type Errors; it is ErrEmpty
// for a text that holds nothing.
func Parse(text []byte) (Value, error) {
	if err := checkText(text); err != nil {
		return Value{}, Errors{err}
	}
	root, err := readDocument(text)
	if err != nil {
		return Value{}, Errors{err}
	}
	w := walk{lines: Lines{}, problems: NewProblems(nil)}
	w.value(root, "", root.Line, 1)
	if err := w.problems.Err(); err != nil {
		return Value{}, err
	}
	return Value{node: root, lines: w.lines}, nil
}

const byteOrderMark = "\ufeff"

// checkText refuses what no editor shows. The YAML line breaks U+0085, U+2028 and U+2029 are among it: with them lines
// would be counted otherwise than by everybody else.
func checkText(text []byte) *Error {
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	line := 1
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			return &Error{Line: line, Message: fmt.Sprintf("byte 0x%02x is not UTF-8", text[0])}
		case r == '\n':
			line++
		case r == '\t' || r == '\r':
		case invisible(r):
			return &Error{Line: line, Message: fmt.Sprintf("the character %U may not be in the text", r)}
		}
		text = text[size:]
	}
	return nil
}

func invisible(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff'
}

// readDocument is the only caller of the YAML library. The library panics on some texts that it was not made for;
// nothing that a pod says may end the daemon.
func readDocument(text []byte) (root *yaml.Node, problem *Error) {
	defer func() {
		if cause := recover(); cause != nil {
			root, problem = nil, &Error{Message: "not YAML: " + shortened(fmt.Sprint(cause))}
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, &Error{Message: emptyMessage}
	case err != nil:
		return nil, notYAML(err, text)
	case document.Kind != yaml.DocumentNode || len(document.Content) != 1:
		return nil, &Error{Message: emptyMessage}
	}
	root = document.Content[0]
	if isNothing(root) {
		return nil, &Error{Message: emptyMessage}
	}
	var second yaml.Node
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
		return root, nil
	case err != nil:
		return nil, notYAML(err, text)
	}
	return nil, &Error{Line: second.Line, Message: "a second document begins here; there may be only one"}
}

func isNothing(root *yaml.Node) bool {
	return root.Kind == yaml.ScalarNode && root.Style == 0 && root.Value == "" && root.Anchor == ""
}

var (
	yamlError = regexp.MustCompile(`(?s)^yaml: (?:line ([0-9]+): )?(.*)$`)
	// parserError are the messages for which the library counts lines from 0; for all others it counts from 1.
	parserError = regexp.MustCompile(`^did not find expected (node content|key|'[^']+'|<)`)
)

// notYAML words an error of the library and mends its line. The library leaves the number of the first line away.
func notYAML(err error, text []byte) *Error {
	m := yamlError.FindStringSubmatch(err.Error())
	if m == nil {
		return &Error{Message: "not YAML: " + shortened(err.Error())}
	}
	if strings.HasPrefix(m[2], "unknown anchor") {
		return &Error{Message: "not YAML: " + shortened(m[2])} // its line is not known
	}
	line, err := strconv.Atoi(m[1])
	if err != nil || parserError.MatchString(m[2]) {
		line++
	}
	last := 1 + bytes.Count(bytes.TrimRight(text, "\r\n"), []byte("\n"))
	return &Error{Line: min(line, last), Message: "not YAML: " + shortened(m[2])}
}

// walk goes through a tree once: it notes the lines and refuses what is no plain tree of lists, maps and scalars.
type walk struct {
	lines    Lines
	problems *Problems
}

func (w *walk) refuse(line int, path, format string, args ...any) {
	w.problems.add(&Error{Line: line, Path: path, Message: fmt.Sprintf(format, args...)})
}

// value checks a node whose place begins at line: that of its key, where it has one.
func (w *walk) value(node *yaml.Node, path string, line, depth int) {
	w.lines[path] = line
	switch {
	case node.Kind == yaml.AliasNode:
		w.refuse(line, path, "the alias %s is not accepted; write the value out", Quote("*"+node.Value))
		return
	case node.Anchor != "":
		w.refuse(line, path, "the anchor %s is not accepted", Quote("&"+node.Anchor))
		return
	case node.Style&yaml.TaggedStyle != 0:
		w.refuse(line, path, "the tag %s is not accepted", Quote(node.Tag))
		return
	case node.Kind != yaml.ScalarNode && depth > maxDepth:
		w.refuse(line, path, "lists and maps lie more than %d deep in each other", maxDepth)
		return
	}
	switch node.Kind {
	case yaml.SequenceNode:
		for i, item := range node.Content {
			w.value(item, indexPath(path, i), item.Line, depth+1)
		}
	case yaml.MappingNode:
		w.fields(node, path, depth)
	default:
		if i := strings.IndexFunc(node.Value, invisible); i >= 0 {
			r, _ := utf8.DecodeRuneInString(node.Value[i:])
			w.refuse(line, path, "the character %U may not be in a value", r)
		}
	}
}

func (w *walk) fields(node *yaml.Node, path string, depth int) {
	first := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if !w.key(key, path) {
			continue
		}
		if line, twice := first[key.Value]; twice {
			w.refuse(key.Line, path, "the key %s is there twice, first in line %d", Quote(key.Value), line)
			continue
		}
		first[key.Value] = key.Line
		w.value(value, keyPath(path, key.Value), key.Line, depth+1)
	}
}

func (w *walk) key(key *yaml.Node, path string) bool {
	switch {
	case key.Kind != yaml.ScalarNode || key.Anchor != "" || key.Style&yaml.TaggedStyle != 0:
		w.refuse(key.Line, path, "a key must be a plain text")
	case key.ShortTag() == "!!merge":
		w.refuse(key.Line, path, "the merge key << is not accepted; write the values out")
	case kindOf(key) != Text:
		w.refuse(key.Line, path, "the key %s is not a text until it has quotes", Quote(key.Value))
	default:
		return true
	}
	return false
}
