package request

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// rawRequest is one entry of the annotation as it is written.
type rawRequest struct {
	Network    *string  `yaml:"network"`
	Name       *string  `yaml:"name"`
	Count      *int     `yaml:"count"`
	Required   []string `yaml:"required"`
	Forbidden  []string `yaml:"forbidden"`
	Containers []string `yaml:"containers"`
	MAC        *string  `yaml:"mac"`
	IPs        []string `yaml:"ips"`
}

const wantedForm = "a list of requests, or the short form such as public or public@eth1, storage"

// read understands the three forms of the annotation: a list whose entries are maps, in YAML or JSON; a list whose
// entries are texts in the short form; and a plain text, which is entries in the short form with commas between them.
func read(text string) ([]rawRequest, error) {
	switch {
	case len(text) > MaxSize:
		return nil, fmt.Errorf("%d bytes are too many; at most %d (16 KiB) will do", len(text), MaxSize)
	case strings.TrimSpace(text) == "":
		return nil, errors.New("the annotation is empty; it must be " + wantedForm)
	case isShortForm(text):
		return readShortForm(text)
	}
	root, err := strictyaml.Parse([]byte(text))
	if errors.Is(err, strictyaml.ErrEmpty) {
		return nil, fmt.Errorf("%w; it must be %s", err, wantedForm)
	}
	if err != nil {
		return nil, inEntry(err)
	}
	if scalar, ok := root.Scalar(); ok {
		return readShortForm(scalar)
	}
	if root.Kind() != strictyaml.List {
		return nil, fmt.Errorf("it must be %s, not %s", wantedForm, root.Kind())
	}
	return readList(root)
}

// isShortForm tells the short form from YAML before YAML is parsed, so that a mistake in it is not called bad YAML. The
// rest of the cases (quotes around it, say) is found as a document that is one scalar.
func isShortForm(text string) bool {
	return !strings.ContainsAny(text, "[]{}:\"'#&*!|>\\") && !strings.HasPrefix(strings.TrimSpace(text), "-") &&
		strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r > '~' }) < 0
}

func readShortForm(text string) ([]rawRequest, error) {
	var raws []rawRequest
	for item := range strings.SplitSeq(text, ",") {
		raw, err := readShortItem(strings.TrimSpace(item))
		if err != nil {
			return nil, inPlace(len(raws), err)
		}
		raws = append(raws, raw)
	}
	return raws, nil
}

// readShortItem reads network or network@interface.
func readShortItem(item string) (rawRequest, error) {
	network, name, named := strings.Cut(item, "@")
	switch {
	case item == "":
		return rawRequest{}, errors.New("the entry is empty")
	case network == "":
		return rawRequest{}, fmt.Errorf("%s has no network before the @", strictyaml.Quote(item))
	case !named:
		return rawRequest{Network: &network}, nil
	case name == "":
		return rawRequest{}, fmt.Errorf("%s has no interface name after the @", strictyaml.Quote(item))
	}
	return rawRequest{Network: &network, Name: &name}, nil
}

func readList(root strictyaml.Value) ([]rawRequest, error) {
	items := root.Items()
	if len(items) == 0 {
		return nil, errors.New("the list is empty; a pod that asks for nothing leaves the annotation away")
	}
	raws := make([]rawRequest, len(items))
	for i, item := range items {
		if item.Kind() == strictyaml.Map {
			if err := item.Decode(&raws[i]); err != nil {
				return nil, inEntry(err)
			}
			continue
		}
		var short string
		if err := item.Decode(&short); err != nil {
			return nil, inEntry(err)
		}
		raw, err := readShortItem(short)
		if err != nil {
			return nil, inPlace(i, err)
		}
		raws[i] = raw
	}
	return raws, nil
}

// inPlace names the entry that err is about; people count from 1.
func inPlace(i int, err error) error { return fmt.Errorf("entry %d: %w", i+1, err) }

var entryPath = regexp.MustCompile(`^\[([0-9]+)\]\.?(.*)$`)

// inEntry names the entry that the first error of the text is about. Whoever reads it sees one line of an event, so
// the first one must do.
func inEntry(err error) error {
	var found strictyaml.Errors
	if !errors.As(err, &found) {
		return err
	}
	m := entryPath.FindStringSubmatch(found[0].Path)
	if m == nil {
		return found[0]
	}
	i, err := strconv.Atoi(m[1])
	if err != nil {
		return found[0]
	}
	return inPlace(i, &strictyaml.Error{Path: m[2], Message: found[0].Message})
}
