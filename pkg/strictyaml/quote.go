package strictyaml

import (
	"strconv"
	"strings"
)

// maxQuoted is how much of a foreign text a message repeats, in bytes before quoting.
const maxQuoted = 64

// shortened bounds a message of the YAML library, which may repeat any part of the text, and keeps it in one line.
func shortened(message string) string {
	const longest = 200
	return strings.ToValidUTF8(strings.ReplaceAll(message[:min(len(message), longest)], "\n", " "), "")
}

// Quote puts a foreign text into quotes for a message, escapes what does not print, and cuts what is long.
func Quote(text string) string {
	if len(text) <= maxQuoted {
		return strconv.Quote(text)
	}
	cut := maxQuoted
	for cut > 0 && text[cut]&0xc0 == 0x80 {
		cut--
	}
	return strconv.Quote(text[:cut]) + "…"
}
