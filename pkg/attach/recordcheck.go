package attach

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
)

// readRecord takes nothing for granted: what it lets through names no file but those of its sandbox, and is complete.
func readRecord(one journal.Record) (record, error) {
	if one.Later {
		return record{}, journal.ErrLater
	}
	value, err := upgrade(one.Version, one.Value)
	if err != nil {
		return record{}, err
	}
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.DisallowUnknownFields()
	var r record
	if err := decoder.Decode(&r); err != nil {
		return record{}, err
	}
	if r.Sandbox.ID != one.Sandbox {
		return record{}, fmt.Errorf("it is of sandbox %q", r.Sandbox.ID)
	}
	if netns := r.Sandbox.NetNS; netns != "" && (!filepath.IsAbs(netns) || filepath.Clean(netns) != netns || strings.Contains(netns, "\x00")) {
		return record{}, fmt.Errorf("%q is no path of a network namespace", netns)
	}
	for i, each := range r.Attachments {
		if err := each.check(); err != nil {
			return record{}, fmt.Errorf("attachment %q: %w", each.Interface, err)
		}
		for _, other := range r.Attachments[:i] {
			if other.Address == each.Address || other.Interface == each.Interface {
				return record{}, fmt.Errorf("attachment %q: %s or the name is there twice", each.Interface, each.Address)
			}
		}
	}
	return r, nil
}

// driverForm is a driver's name as a part of a path in sysfs.
var driverForm = regexp.MustCompile(`^[A-Za-z0-9_-]{0,64}$`)

// check says what an attachment from a record cannot be.
func (a Attachment) check() error {
	if a.Address.IsZero() || a.PF.IsZero() {
		return errors.New("it has no PCI address")
	}
	if len(a.Ports) == 0 {
		return errors.New("it has no port")
	}
	if a.Device != config.DeviceNetdev && a.Device != config.DeviceVFIO {
		return fmt.Errorf("device %q is not known", a.Device)
	}
	if !slices.Contains([]State{Attaching, Attached, Releasing}, a.State) {
		return fmt.Errorf("state %q is not known", a.State)
	}
	if !driverForm.MatchString(a.Driver) || !driverForm.MatchString(a.Rest) {
		return fmt.Errorf("%q or %q is no driver", a.Driver, a.Rest)
	}
	names := []string{a.Interface}
	for _, port := range a.Ports {
		names = append(names, port.Interface)
		if port.Resting.Interface != "" {
			names = append(names, port.Resting.Interface)
		}
	}
	for _, name := range a.VFNames {
		names = append(names, name)
	}
	for _, home := range a.Home {
		names = append(names, home.Interface)
	}
	for _, name := range names {
		if !fitName(name) {
			return fmt.Errorf("%q is no name of an interface", name)
		}
	}
	return nil
}
