package placement

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a document.
const (
	maxDocument = 1 << 20
	maxDepth    = 12
)

// value is a part of a JSON document: nil, a bool, a json.Number, a string, a []value or an *object.
type value any

// object keeps its keys in their order.
type object struct {
	keys   []string
	fields map[string]value
}

// parseJSON reads a text that holds exactly one value. It takes no key twice, which encoding/json would.
func parseJSON(text []byte) (value, error) {
	switch {
	case len(text) > maxDocument:
		return nil, bad(TooLarge, "the document has %d bytes; %d are the most", len(text), maxDocument)
	case !utf8.Valid(text):
		return nil, bad(BadDocument, "the document is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	root, err := parseValue(decoder, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, bad(BadDocument, "line %d: there is more after the end of the document", line(text, decoder.InputOffset()))
	}
	return root, nil
}

func line(text []byte, offset int64) int { return 1 + bytes.Count(text[:offset], []byte("\n")) }

func parseValue(decoder *json.Decoder, path string, depth int) (value, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, notJSON(path, err)
	}
	delimiter, nested := token.(json.Delim)
	switch {
	case !nested:
		return token, nil
	case depth == maxDepth:
		return nil, bad(TooLarge, "%s: lists and objects lie more than %d deep in each other", path, maxDepth)
	case delimiter == '{':
		return parseObject(decoder, path, depth)
	}
	list := []value{}
	for decoder.More() {
		item, err := parseValue(decoder, fmt.Sprintf("%s[%d]", path, len(list)), depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	_, err = decoder.Token()
	return list, notJSON(path, err)
}

func parseObject(decoder *json.Decoder, path string, depth int) (value, error) {
	o := &object{fields: map[string]value{}}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, notJSON(path, err)
		}
		key := token.(string) // the decoder takes nothing else for a key
		if _, twice := o.fields[key]; twice {
			return nil, bad(BadDocument, "%s: the key is there twice", join(path, key))
		}
		field, err := parseValue(decoder, join(path, key), depth+1)
		if err != nil {
			return nil, err
		}
		o.keys, o.fields[key] = append(o.keys, key), field
	}
	_, err := decoder.Token()
	return o, notJSON(path, err)
}

func notJSON(path string, err error) error {
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return bad(BadDocument, "the document ends too early")
	case errors.As(err, &syntax):
		return bad(BadDocument, "%sbyte %d is not JSON: %s", after(path), syntax.Offset, syntax)
	}
	return bad(BadDocument, "%snot JSON: %s", after(path), err)
}

func after(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}

// join makes the path of a key.
func join(path, key string) string {
	switch {
	case !plainSuffix.MatchString(key):
		return path + "[" + quote(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

// reader decodes values and keeps the first thing that is wrong; after it everything it answers is empty.
type reader struct{ err error }

func (r *reader) fail(code Code, path, format string, args ...any) {
	if r.err == nil {
		r.err = bad(code, "%s%s", after(path), fmt.Sprintf(format, args...))
	}
}

// object checks that a value is an object with known keys only; keys of none may be any.
func (r *reader) object(v value, path string, known ...string) *object {
	o, ok := v.(*object)
	if !ok {
		r.fail(BadDocument, path, "this must be an object, not %s", kind(v))
		return &object{}
	}
	for _, key := range o.keys {
		if len(known) > 0 && !slices.Contains(known, key) {
			r.fail(BadDocument, path, "unknown key %s; known here are %s", quote(key), strings.Join(known, ", "))
		}
	}
	return o
}

func (r *reader) list(v value, path string, most int) []value {
	list, ok := v.([]value)
	switch {
	case !ok:
		r.fail(BadDocument, path, "this must be a list, not %s", kind(v))
	case len(list) > most:
		r.fail(TooLarge, path, "there are %d; %d are the most", len(list), most)
		return nil
	}
	return list
}

func (r *reader) text(v value, path string) string {
	text, ok := v.(string)
	if !ok {
		r.fail(BadDocument, path, "this must be a text, not %s", kind(v))
	}
	return text
}

func (r *reader) texts(v value, path string, most int) []string {
	list := r.list(v, path, most)
	texts := make([]string, len(list))
	for i, item := range list {
		texts[i] = r.text(item, fmt.Sprintf("%s[%d]", path, i))
	}
	return texts
}

// integer reads a whole number, written as digits; code is what a wrong one is called.
func (r *reader) integer(code Code, v value, path string) int {
	number, ok := v.(json.Number)
	if !ok {
		r.fail(code, path, "this must be a whole number, not %s", kind(v))
		return 0
	}
	n, err := strconv.Atoi(string(number))
	if err != nil {
		r.fail(code, path, "%s is not a whole number that fits", quote(string(number)))
	}
	return n
}

func (r *reader) number(v value, path string) float64 {
	number, ok := v.(json.Number)
	if !ok {
		r.fail(BadProvider, path, "this must be a number, not %s", kind(v))
		return 0
	}
	n, err := number.Float64()
	if err != nil || math.IsInf(n, 0) {
		r.fail(BadProvider, path, "%s is too large", quote(string(number)))
	}
	return n
}

func kind(v value) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "true or false"
	case json.Number:
		return "a number"
	case string:
		return "a text"
	case []value:
		return "a list"
	}
	return "an object"
}
