// Command inside runs in the guest, and times one round of a candidate that gives a VF to a network namespace and takes
// it back:
//
//	inside minimum VF   the messages that the kernel cannot do without, and nothing else
//	inside plugin VF    the CNI plugin host-device, run as a process
//
// VF is its PCI address. It prints the steps with their times as JSON, a protocol.Round.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/bench/protocol"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "inside:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 3 {
		return fmt.Errorf("inside minimum|plugin PCI-ADDRESS")
	}
	device, err := findFunction(os.Args[2])
	if err != nil {
		return err
	}
	var round protocol.Round
	switch os.Args[1] {
	case "minimum":
		round, err = minimum(device)
	case "plugin":
		round, err = plugin(device)
	default:
		err = fmt.Errorf("no candidate is called %q", os.Args[1])
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(round)
}

// function is a VF as sysfs has it.
type function struct {
	address string
	name    string // of its interface
	index   int
	pf      string
	pfIndex int
	id      int
}

func findFunction(address string) (function, error) {
	device := filepath.Join("/sys/bus/pci/devices", address)
	f := function{address: address, id: -1}
	var err error
	if f.name, f.index, err = interfaceOf(device); err != nil {
		return function{}, err
	}
	if f.pf, f.pfIndex, err = interfaceOf(filepath.Join(device, "physfn")); err != nil {
		return function{}, err
	}
	links, err := filepath.Glob(filepath.Join(device, "physfn", "virtfn*"))
	if err != nil {
		return function{}, err
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && filepath.Base(target) == address {
			f.id, err = strconv.Atoi(strings.TrimPrefix(filepath.Base(link), "virtfn"))
			if err != nil {
				return function{}, err
			}
			return f, nil
		}
	}
	return function{}, fmt.Errorf("%s is no VF of its PF %s", address, f.pf)
}

// interfaceOf is the netdev of a PCI function, which has one.
func interfaceOf(device string) (name string, index int, err error) {
	entries, err := os.ReadDir(filepath.Join(device, "net"))
	if err != nil {
		return "", 0, err
	}
	if len(entries) != 1 {
		return "", 0, fmt.Errorf("%s has %d interfaces, not 1", device, len(entries))
	}
	text, err := os.ReadFile(filepath.Join(device, "net", entries[0].Name(), "ifindex"))
	if err != nil {
		return "", 0, err
	}
	index, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return entries[0].Name(), index, err
}

// clock measures steps, one after the other.
type clock struct{ steps []protocol.Step }

func (c *clock) step(name string, do func() error) error {
	begun := time.Now()
	err := do()
	c.steps = append(c.steps, protocol.Step{Name: name, Took: time.Since(begun)})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
