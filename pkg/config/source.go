package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// commonFile is the file of a folder for every node that has none of its own.
const commonFile = "config.yaml"

// Source is where a node's configuration is written.
type Source struct {
	// Path is a file, or a folder such as a mounted ConfigMap: there it is <Node>.yaml or, where that does not exist,
	// config.yaml.
	Path string
	// Node is the node's name in Kubernetes; empty has no file of its own.
	Node string
}

// Read reads the file, and tells which it was. The error wraps fs.ErrNotExist where
// there is nothing at Path; a folder without a file for the node is an error of its own.
func (s Source) Read() (path string, text []byte, err error) {
	info, err := os.Stat(s.Path)
	if err != nil {
		return "", nil, err
	}
	if !info.IsDir() {
		text, err = readFile(s.Path)
		return s.Path, text, err
	}
	if s.Node != "" {
		path = filepath.Join(s.Path, s.Node+".yaml")
		if text, err = readFile(path); !errors.Is(err, fs.ErrNotExist) {
			return path, text, err
		}
	}
	path = filepath.Join(s.Path, commonFile)
	if text, err = readFile(path); errors.Is(err, fs.ErrNotExist) {
		// Who mounts a folder has something to say: that nothing is in it must not offer everything.
		return "", nil, s.neither()
	}
	return path, text, err
}

func (s Source) neither() error {
	if s.Node == "" {
		return fmt.Errorf("the folder %s has no %s", s.Path, commonFile)
	}
	return fmt.Errorf("the folder %s has neither %s.yaml nor %s", s.Path, s.Node, commonFile)
}

// readFile reads no more than what Parse refuses.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, MaxSize+1))
}
