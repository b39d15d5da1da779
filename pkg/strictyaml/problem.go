package strictyaml

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxErrors bounds a report: whoever mends that many asks again anyway.
const maxErrors = 20

// Error is one thing that is wrong with a text.
type Error struct {
	// Line counts from 1; 0 is unknown.
	Line int
	// Path is the place as keys and indexes, such as networks[0].vlan.id; empty for the document as a whole.
	Path string
	// Message is one sentence without line and path.
	Message string
}

// Error writes line, path and message, as far as they are known.
func (e *Error) Error() string {
	text := e.Message
	if e.Path != "" {
		text = e.Path + ": " + text
	}
	if e.Line > 0 {
		text = fmt.Sprintf("line %d: %s", e.Line, text)
	}
	return text
}

// Errors are all that was found wrong with a text, in the order of its lines, at most 20. Every error of this package
// is of this type, with at least one element.
type Errors []*Error

// Error writes one line for each.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// ErrEmpty is what errors.Is finds when a text holds no document at all, or nothing but comments.
var ErrEmpty = errors.New("empty document")

// Is tells whether e stands for target; ErrEmpty is the only target with a meaning.
func (e Errors) Is(target error) bool {
	return target == ErrEmpty && len(e) == 1 && e[0].Message == emptyMessage
}

const emptyMessage = "there is nothing but blanks and comments"

// Lines knows the line of each place in a document, by path.
type Lines map[string]int

// At is the line of path or, where the text does not have that place, of the nearest place around it; 0 when there is
// none.
func (l Lines) At(path string) int {
	for {
		if line, ok := l[path]; ok {
			return line
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return l[""]
		}
		path = path[:cut]
	}
}

// Problems collects errors about a decoded document. Use NewProblems or Value.Problems.
type Problems struct {
	lines Lines
	found Errors
}

// NewProblems starts a collection for a document whose lines are known.
func NewProblems(lines Lines) *Problems { return &Problems{lines: lines} }

// Addf reports a problem with the value at path.
func (p *Problems) Addf(path, format string, args ...any) {
	p.add(&Error{Line: p.lines.At(path), Path: path, Message: fmt.Sprintf(format, args...)})
}

// Add takes over the errors that Decode or another collection found; nil adds nothing.
func (p *Problems) Add(err error) {
	var found Errors
	switch {
	case err == nil:
	case errors.As(err, &found):
		for _, one := range found {
			p.add(one)
		}
	default:
		p.add(&Error{Message: err.Error()})
	}
}

func (p *Problems) add(one *Error) {
	if len(p.found) < maxErrors {
		p.found = append(p.found, one)
	}
}

// Any tells whether something was found.
func (p *Problems) Any() bool { return len(p.found) > 0 }

// Err is nil, or what was found as Errors in the order of the lines.
func (p *Problems) Err() error {
	if !p.Any() {
		return nil
	}
	found := slices.Clone(p.found)
	slices.SortStableFunc(found, func(a, b *Error) int { return a.Line - b.Line })
	return found
}
