package cni

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/containernetworking/cni/pkg/types"
)

// Find gives the path of the first executable file of that name in the directories. The name was checked: it leads
// nowhere else.
func (p *IPAM) Find(name string) (string, error) {
	var unfit string
	for _, dir := range p.dirs {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		switch {
		case err != nil:
		case info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0:
			return path, nil
		case unfit == "":
			unfit = path
		}
	}
	if unfit != "" {
		return "", fmt.Errorf("%s is not an executable file: mend its mode or install the plugin again", unfit)
	}
	return "", fmt.Errorf("%w in %s: install it there", ErrNoPlugin, strings.Join(p.dirs, ", "))
}

// execution is what a plugin that was run has left.
type execution struct {
	// started tells whether the plugin ran at all.
	started        bool
	stdout, stderr []byte
	// failure is how it ended, such as "exit status 1"; empty after success.
	failure string
}

// refusal is a plugin's own word of why not.
type refusal types.Error

// Error is what the plugin said, in one line of bounded length.
func (r *refusal) Error() string {
	text := oneLine(r.Msg)
	if details := oneLine(r.Details); details != "" {
		text += "; " + details
	}
	if text == "" {
		text = "it does not say why"
	}
	text = fmt.Sprintf("was refused: %s (code %d)", text, r.Code)
	if r.Code == types.ErrIncompatibleCNIVersion {
		text += "; set the network's cniVersion to one that the plugin knows"
	}
	return text
}

// refusal tells how the plugin failed; nil when it did not. A plugin says why on its standard output, as an object with
// a code: https://www.cni.dev/docs/spec/#error
func (e execution) refusal() error {
	var said refusal
	isObject := json.Unmarshal(e.stdout, &said) == nil
	switch {
	case isObject && said.Code != 0, isObject && e.failure != "" && said.Msg != "":
		return &said
	case e.failure == "":
		return nil
	}
	words := e.stderr
	if len(words) == 0 {
		words = e.stdout
	}
	if text := oneLine(string(words)); text != "" {
		return fmt.Errorf("ended with %s: %s", e.failure, text)
	}
	return fmt.Errorf("ended with %s and did not say why", e.failure)
}

// oneLine makes a foreign text fit for the middle of a sentence: at most 300 bytes, blanks for all that does not print.
func oneLine(text string) string {
	const longest = 300
	text = strings.ToValidUTF8(text, "?")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}

// quote shows a foreign text, of which 64 bytes will do.
func quote(text string) string {
	const longest = 64
	if len(text) <= longest {
		return strconv.Quote(text)
	}
	return strconv.Quote(strings.ToValidUTF8(text[:longest], "")) + "…"
}
