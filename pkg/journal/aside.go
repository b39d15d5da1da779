package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	asideMark = ".broken"
	// asideOfOne and asideOfAll bound what is kept of broken records.
	asideOfOne = 8
	asideOfAll = 64
)

// SetAside renames the record of a sandbox to *.broken, for a person to look at, and gives its path; where that cannot be
// done, Reason says why.
func (j *Journal) SetAside(sandbox string, reason error) Broken {
	name, err := j.path(sandbox)
	if err != nil {
		return Broken{Path: name, Reason: err}
	}
	return j.setAsideFor(filepath.Base(name), reason)
}

func (j *Journal) setAsideFor(name string, reason error) Broken {
	path := filepath.Join(j.dir, name)
	aside, err := j.freeName(path)
	if err == nil {
		err = os.Rename(path, aside)
	}
	if err != nil {
		return Broken{Path: path, Reason: fmt.Errorf("%w; it cannot be set aside: %w", reason, Trouble(j.dir, err))}
	}
	j.mutex.Lock()
	j.setAside++
	j.mutex.Unlock()
	j.prune(filepath.Base(aside))
	return Broken{Path: aside, Aside: true, Reason: reason}
}

// freeName is .broken, .broken.2, …: what was set aside before stays. Past the bound the last one makes room, so that the
// first ones, which show how it began, are kept.
func (j *Journal) freeName(path string) (string, error) {
	aside := path + asideMark
	for i := 2; ; i++ {
		_, err := os.Lstat(aside)
		if errors.Is(err, fs.ErrNotExist) {
			return aside, nil
		}
		if err != nil {
			return "", err
		}
		if i > asideOfOne {
			return aside, os.RemoveAll(aside)
		}
		aside = fmt.Sprintf("%s%s.%d", path, asideMark, i)
	}
}

// prune removes the oldest of what was set aside, past the bound of all, and never what was set aside just now.
func (j *Journal) prune(latest string) {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return // tried again with the next
	}
	type one struct {
		name string
		age  int64
	}
	var aside []one
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || entry.Name() == latest || !strings.Contains(entry.Name(), suffix+asideMark) {
			continue
		}
		aside = append(aside, one{entry.Name(), info.ModTime().UnixNano()}) // wall clock: old evidence only
	}
	slices.SortFunc(aside, func(a, b one) int { return cmp.Compare(a.age, b.age) })
	for len(aside) >= asideOfAll {
		_ = os.RemoveAll(filepath.Join(j.dir, aside[0].name)) // what stays is tried again with the next
		aside = aside[1:]
	}
}
