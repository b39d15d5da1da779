package sriovcni

import (
	"bytes"
	"fmt"
	"regexp"
	"unicode/utf8"
)

// MaxSize bounds a file, in bytes.
const MaxSize = 4 << 20

// document is one of the documents of a file.
type document struct {
	file string
	// number counts from 1; documents of nothing but comments do not count.
	number int
	root   value
	// isJSON is how it was written.
	isJSON bool
}

// errorf is a sentence about a place in the document; line 0 is unknown, an empty subject the document as a whole.
func (d document) errorf(line int, subject, format string, args ...any) error {
	place := d.file
	if line > 0 {
		place = fmt.Sprintf("%s:%d", d.file, line)
	}
	if subject != "" {
		subject += ": "
	}
	return fmt.Errorf("%s: document %d: %s%s", printable(place), d.number, subject, fmt.Sprintf(format, args...))
}

// separator is the line that begins a document of YAML; neither YAML nor JSON can hold it anywhere else.
var separator = regexp.MustCompile(`(?m)^---(?:[ \t\r].*)?$`)

const byteOrderMark = "\ufeff"

// readDocuments reads all documents of a file, and says of each broken one what is wrong with it.
func readDocuments(file string, content []byte) (documents []document, broken []error) {
	if len(content) > MaxSize {
		return nil, []error{fmt.Errorf("%s: the file has more than %d bytes (4 MiB)", printable(file), MaxSize)}
	}
	content = bytes.TrimPrefix(content, []byte(byteOrderMark))
	if at := invalidUTF8(content); at >= 0 {
		one := document{file: file, number: 1}
		return nil, []error{one.errorf(1+newlines(content, at), "", "byte 0x%02x is not UTF-8", content[at])}
	}
	next := document{file: file, number: 1}
	for _, chunk := range split(content) {
		values, isJSON, problem := chunk.read()
		for _, root := range values {
			next.root, next.isJSON = root, isJSON
			documents = append(documents, next)
			next.number++
		}
		if problem != nil {
			broken = append(broken, next.errorf(problem.line, "", "%s", problem))
			next.number++
		}
	}
	return documents, broken
}

// chunk is the text between two separators.
type chunk struct {
	text []byte
	line int
}

func split(content []byte) []chunk {
	var chunks []chunk
	start, line := 0, 1
	add := func(end int) {
		chunks = append(chunks, chunk{content[start:end], line})
		line += newlines(content[start:end], end-start)
		start = end
	}
	for _, at := range separator.FindAllIndex(content, -1) {
		if at[0] > start {
			add(at[0]) // the separator belongs to what follows: it may have a comment or the document itself
		}
	}
	add(len(content))
	return chunks
}

// read takes what begins like JSON for JSON, and anything else for YAML.
func (c chunk) read() (values []value, isJSON bool, problem *problem) {
	content, line := c.text, c.line
	if rest, cut := bytes.CutPrefix(content, []byte("---\n")); cut {
		content, line = rest, line+1
	}
	start := bytes.TrimLeft(content, " \t\r\n")
	if len(start) == 0 || start[0] != '{' && start[0] != '[' {
		one, ok, problem := readYAML(content, line)
		if !ok {
			return nil, false, problem
		}
		return []value{one}, false, nil
	}
	values, problem = readJSON(content, line)
	if problem == nil {
		return values, true, nil
	}
	// A manifest may be YAML in braces.
	if one, ok, _ := readYAML(content, line); ok && isManifest(one) {
		return []value{one}, false, nil
	}
	return values, true, problem
}

func invalidUTF8(content []byte) int {
	for at := 0; at < len(content); {
		r, size := utf8.DecodeRune(content[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}
