package attach

import (
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

// Merge adds to the journal's records what only the copies hold, because the journal was lost, and what a later program
// has written among them.
func Merge(records, copies []journal.Record) []journal.Record {
	for _, one := range copies {
		i := slices.IndexFunc(records, func(r journal.Record) bool { return r.Sandbox == one.Sandbox })
		switch {
		case i < 0:
			records = append(records, one)
		case one.Later:
			records[i] = one
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
