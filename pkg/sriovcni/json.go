package sriovcni

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// maxDepth bounds how deep lists and maps lie in each other.
const maxDepth = 32

// problem is what is wrong with a text, and the line within it where that is known.
type problem struct {
	line    int
	message string
}

func (p *problem) Error() string { return p.message }

// readJSON reads the values of a text, one after the other; line is that of the text's beginning. On an error the
// values before it are returned, too.
func readJSON(content []byte, line int) ([]value, *problem) {
	var values []value
	decoder := json.NewDecoder(bytes.NewReader(content))
	for {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return values, nil
		} else if err != nil {
			return values, notJSON(err, content, line)
		}
		start := int(decoder.InputOffset()) - len(raw)
		w := jsonWalk{decoder: json.NewDecoder(bytes.NewReader(raw)), text: raw, line: line + newlines(content, start)}
		w.decoder.UseNumber()
		one, problem := w.value(1)
		if problem != nil {
			return values, problem
		}
		values = append(values, one)
	}
}

func notJSON(err error, content []byte, line int) *problem {
	offset := len(bytes.TrimRight(content, "\r\n\t "))
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = int(syntax.Offset) - 1
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends in the middle")
	}
	return &problem{line + newlines(content, offset), "not JSON: " + err.Error()}
}

func newlines(content []byte, before int) int {
	return bytes.Count(content[:max(0, min(before, len(content)))], []byte("\n"))
}

// jsonWalk goes through a value whose syntax was checked.
type jsonWalk struct {
	decoder *json.Decoder
	text    []byte
	line    int
	// counted is how much of text is counted in line.
	counted int
}

// here is the line of the token that was read last: no token holds a newline.
func (w *jsonWalk) here() int {
	end := int(w.decoder.InputOffset())
	w.line += bytes.Count(w.text[w.counted:end], []byte("\n"))
	w.counted = end
	return w.line
}

func (w *jsonWalk) value(depth int) (value, *problem) {
	token, err := w.decoder.Token()
	if err != nil {
		return value{}, &problem{w.line, "not JSON: " + err.Error()}
	}
	v := value{line: w.here()}
	switch t := token.(type) {
	case bool:
		v.kind, v.scalar = boolean, fmt.Sprint(t)
	case json.Number:
		v.kind, v.scalar = number, t.String()
	case string:
		v.kind, v.scalar = text, t
	case json.Delim:
		if depth > maxDepth {
			return value{}, &problem{v.line, fmt.Sprintf("lists and maps lie more than %d deep in each other", maxDepth)}
		}
		return w.inside(v, t == '{', depth)
	}
	return v, nil
}

// inside reads a map or a list up to its end.
func (w *jsonWalk) inside(v value, isObject bool, depth int) (value, *problem) {
	v.kind = list
	if isObject {
		v.kind = object
	}
	first := map[string]int{}
	for w.decoder.More() {
		var key field
		if isObject {
			name, problem := w.value(depth)
			if problem != nil {
				return value{}, problem
			}
			key = field{key: name.scalar, line: name.line}
			if problem := twice(first, key); problem != nil {
				return value{}, problem
			}
		}
		inner, problem := w.value(depth + 1)
		if problem != nil {
			return value{}, problem
		}
		if key.value = inner; isObject {
			v.fields = append(v.fields, key)
		} else {
			v.items = append(v.items, inner)
		}
	}
	if _, err := w.decoder.Token(); err != nil {
		return value{}, &problem{w.line, "not JSON: " + err.Error()}
	}
	w.here()
	return v, nil
}

func twice(first map[string]int, f field) *problem {
	if line, there := first[f.key]; there {
		return &problem{f.line, fmt.Sprintf("the key %s is there twice, first in line %d", strictyaml.Quote(f.key), line)}
	}
	first[f.key] = f.line
	return nil
}
