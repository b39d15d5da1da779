package sriovcni

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The kinds of notes.
const (
	// Remark is something to know.
	Remark = "note"
	// NotCarriedOver names a key that has no equal.
	NotCarriedOver = "not carried over"
	// Refused names a key of the written NodeConfig that this release of the daemon does not take.
	Refused = "refused by run"
)

// Note tells the admin what the NodeConfig itself cannot.
type Note struct {
	// Kind is Remark, NotCarriedOver or Refused.
	Kind string `json:"kind"`
	// File and Line are where the key stands; empty and 0 where the note is about all files.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Key is the place in the file or, for Refused, in the NodeConfig; empty for a note about more than a key.
	Key string `json:"key,omitempty"`
	// Message says why, and what to do instead.
	Message string `json:"message"`
}

// String writes the note in one line.
func (n Note) String() string {
	parts := []string{n.Kind}
	for _, part := range []string{n.File, n.Key} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	line := strings.Join(append(parts, n.Message), ": ")
	if n.Line > 0 {
		line = fmt.Sprintf("%s (line %d)", line, n.Line)
	}
	return printable(line)
}

// printable escapes what would break a line, or hide in it.
func printable(s string) string {
	var out strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 || !unicode.IsPrint(r) {
			quoted := strconv.Quote(s[:size])
			out.WriteString(quoted[1 : len(quoted)-1])
		} else {
			out.WriteString(s[:size])
		}
		s = s[size:]
	}
	return out.String()
}
