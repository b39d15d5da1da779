// Command inside runs in the guest, and times one round of a candidate that gives a VF to a network namespace and takes
// it back:
//
//	inside minimum VF      the messages that the kernel cannot do without, and nothing else
//	inside serial VF...    the same for many VFs, one after the other
//	inside plugin VF       the CNI plugin host-device, run as a process
//	inside give VF NETNS   the first half of it, into a namespace that is there
//	inside take VF NETNS   the other half
//
// VF is its PCI address, NETNS a path. It prints the steps with their times as JSON, a protocol.Round.
package main

import (
	"encoding/json"
	"errors"
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
	if len(os.Args) < 3 {
		return errors.New("inside minimum|serial|plugin|give|take PCI-ADDRESS [PCI-ADDRESS...|NETNS]")
	}
	round, err := candidate(os.Args[1], os.Args[2:])
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(round)
}

func candidate(name string, args []string) (protocol.Round, error) {
	device, err := findFunction(args[0])
	if err == nil && name != "take" {
		err = device.locate()
	}
	if err != nil {
		return protocol.Round{}, err
	}
	switch {
	case name == "minimum" && len(args) == 1:
		return minimum(device)
	case name == "serial":
		return serial(args)
	case name == "plugin" && len(args) == 1:
		return plugin(device)
	case name == "give" && len(args) == 2:
		attach, err := give(device, args[1])
		return protocol.Round{Attach: attach}, err
	case name == "take" && len(args) == 2:
		detach, err := take(device, args[1])
		return protocol.Round{Detach: detach}, err
	}
	return protocol.Round{}, fmt.Errorf("no candidate is called %q with %d arguments", name, len(args))
}

// function is a VF as sysfs has it.
type function struct {
	address string
	name    string // of its interface, where it is in this namespace
	index   int
	pf      string
	pfIndex int
	id      int
}

func findFunction(address string) (function, error) {
	device := filepath.Join("/sys/bus/pci/devices", address)
	f := function{address: address, id: -1}
	var err error
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

// locate finds the VF's interface, which is in this namespace.
func (f *function) locate() (err error) {
	f.name, f.index, err = interfaceOf(filepath.Join("/sys/bus/pci/devices", f.address))
	return err
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
