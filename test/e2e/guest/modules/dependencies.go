package modules

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"strings"
)

// Dependencies is what modules.dep says: each module's file and the files that
// must be loaded before it.
type Dependencies struct {
	file  map[string]string
	needs map[string][]string
}

// Parse reads modules.dep (depmod's "file: needed files" lines).
func Parse(r io.Reader) (*Dependencies, error) {
	d := &Dependencies{file: map[string]string{}, needs: map[string][]string{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		file, needs, found := strings.Cut(text, ":")
		if !found || file == "" {
			return nil, fmt.Errorf("read modules.dep: line %d: no module before a colon: %q", n, text)
		}
		d.file[Name(file)] = file
		d.needs[file] = strings.Fields(needs)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read modules.dep: %w", err)
	}
	return d, nil
}

// Name is a module's name as the kernel spells it: no folder, no suffix, and
// underscores only.
func Name(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// Order lists the files to load for the named modules, each after all that it
// needs and each once. Names that builtin holds are in the kernel already and
// are left out.
func (d *Dependencies) Order(builtin map[string]bool, names ...string) ([]string, error) {
	var order []string
	const visiting, done = 1, 2
	state := map[string]int{}
	var visit func(file string) error
	visit = func(file string) error {
		switch state[file] {
		case done:
			return nil
		case visiting:
			return fmt.Errorf("order kernel modules: %s needs itself", file)
		}
		state[file] = visiting
		for _, need := range d.needs[file] {
			if err := visit(need); err != nil {
				return err
			}
		}
		state[file] = done
		order = append(order, file)
		return nil
	}
	for _, name := range names {
		name = Name(name)
		if builtin[name] {
			continue
		}
		file, found := d.file[name]
		if !found {
			return nil, fmt.Errorf("order kernel modules: this kernel has no module %s", name)
		}
		if err := visit(file); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// Builtin reads modules.builtin: the names of what is part of the kernel.
func Builtin(r io.Reader) (map[string]bool, error) {
	names := map[string]bool{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if text := strings.TrimSpace(lines.Text()); text != "" {
			names[Name(text)] = true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read modules.builtin: %w", err)
	}
	return names, nil
}
