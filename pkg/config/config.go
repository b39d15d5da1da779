package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// The head of every file.
const (
	APIVersion = "sriov.nri.io/v1alpha1"
	Kind       = "NodeConfig"
)

// MaxSize bounds a file, in bytes.
const MaxSize = 128 << 10

const minimalFile = `apiVersion: ` + APIVersion + `
kind: ` + Kind + `
networks:
  - name: default`

// Load reads the file at path, or in that folder the one for this machine by its host name. A file that does not exist is
// no error: the configuration is then Default, whose Source is empty.
func Load(path string) (*Node, error) {
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("the host's name: %w", err)
	}
	return Source{Path: path, Node: strings.ToLower(name)}.Load()
}

// Load reads the configuration; without a file it is Default, whose Source is empty.
func (s Source) Load() (*Node, error) {
	path, text, err := s.Read()
	if errors.Is(err, fs.ErrNotExist) {
		return Default(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	return Parse(path, text)
}

// Parse reads a configuration from text; name is what errors call it, such as config.yaml. An error says all that is
// wrong (the first 20), one line each, as "name:line: path: message".
func Parse(name string, text []byte) (*Node, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%s: the file has more than %d bytes (128 KiB)", name, MaxSize)
	}
	node, err := parse(text)
	if errors.Is(err, strictyaml.ErrEmpty) {
		return nil, fmt.Errorf("%s: %w; the least that a file says is:\n%s", name, err, minimalFile)
	}
	if err != nil {
		return nil, inFile(name, err)
	}
	node.Source = name
	return node, nil
}

func parse(text []byte) (*Node, error) {
	var raw rawNode
	lines, err := strictyaml.Decode(text, &raw)
	if err != nil {
		return nil, err
	}
	v := validation{strictyaml.NewProblems(lines), keysOf(lines)}
	node := v.node(&raw)
	if err := v.Err(); err != nil {
		return nil, err
	}
	return node, nil
}

// inFile writes each error as compilers do, so that editors jump to the line.
func inFile(name string, err error) error {
	var found strictyaml.Errors
	if !errors.As(err, &found) {
		return fmt.Errorf("%s: %w", name, err)
	}
	named := make([]error, len(found))
	for i, one := range found {
		place := name
		if one.Line > 0 {
			place = fmt.Sprintf("%s:%d", name, one.Line)
		}
		named[i] = fmt.Errorf("%s: %w", place, &strictyaml.Error{Path: one.Path, Message: one.Message})
	}
	return errors.Join(named...)
}
