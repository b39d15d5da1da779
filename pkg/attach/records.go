package attach

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// record is what the journal holds of a sandbox.
type record struct {
	Sandbox     Sandbox      `json:"sandbox"`
	Releasing   bool         `json:"releasing,omitempty"`
	Attachments []Attachment `json:"attachments"`
}

// Merge adds to the journal's records what only the copies hold, because the journal was lost.
func Merge(records, copies []journal.Record) []journal.Record {
	for _, one := range copies {
		if !slices.ContainsFunc(records, func(r journal.Record) bool { return r.Sandbox == one.Sandbox }) {
			records = append(records, one)
		}
	}
	return records
}

// WholePFs are the names in the host of PFs that pods have as a whole, by the journal.
func WholePFs(records []journal.Record) map[vf.PCIAddress]string {
	away := map[vf.PCIAddress]string{}
	for _, one := range records {
		r, err := readRecord(one)
		if err != nil || one.Earlier {
			continue
		}
		for _, each := range r.Attachments {
			if home := each.homeInterfaces(); each.Whole && !each.Freed && len(home) > 0 {
				away[each.Address] = home[0]
			}
		}
	}
	return away
}

// Show marks in a pool what sandboxes have by the journal, for a reader that is not the daemon.
func Show(pool *inventory.Pool, records []journal.Record) {
	for _, one := range records {
		r, err := readRecord(one)
		if err != nil || one.Earlier {
			continue
		}
		for _, each := range r.Attachments {
			if each.Freed || !pool.Adopt(r.Sandbox.ID, each.Address, each.owned()) {
				continue
			}
			switch each.State {
			case Attached:
				pool.Attach(r.Sandbox.ID, each.Address)
			case Releasing:
				pool.Release(r.Sandbox.ID, each.Address, each.Error)
			}
		}
	}
}

func readRecord(one journal.Record) (record, error) {
	decoder := json.NewDecoder(bytes.NewReader(one.Value))
	decoder.DisallowUnknownFields()
	var r record
	if err := decoder.Decode(&r); err != nil {
		return record{}, err
	}
	if r.Sandbox.ID != one.Sandbox {
		return record{}, fmt.Errorf("it is of sandbox %q", r.Sandbox.ID)
	}
	for _, each := range r.Attachments {
		if len(each.Ports) == 0 {
			return record{}, fmt.Errorf("attachment %s has no port", each.Interface)
		}
		if name, ok := each.unfitName(); ok {
			return record{}, fmt.Errorf("%q is no name of an interface", name)
		}
	}
	return r, nil
}

// unfitName finds a name in an attachment that no interface can have. Names become names of files.
func (a Attachment) unfitName() (name string, found bool) {
	names := append([]string{a.Interface}, a.homeInterfaces()...)
	for _, port := range a.Ports {
		names = append(names, port.Interface)
	}
	at := slices.IndexFunc(names, func(name string) bool { return !fitName(name) })
	if at < 0 {
		return "", false
	}
	return names[at], true
}
