package attach

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// fields is a JSON object whose values are left as they are.
type fields = map[string]json.RawMessage

// steps make the content of a record of one version that of the next; the first is that of version 1. The rule is
// pkg/journal's.
var steps = []func(record fields) error{toVersion2}

// upgrade makes the content of a record one of today's version.
func upgrade(version int, value json.RawMessage) (json.RawMessage, error) {
	if version < 1 || version > journal.Version {
		return nil, fmt.Errorf("it is of version %d", version)
	}
	if version == journal.Version {
		return value, nil
	}
	var record fields
	if err := json.Unmarshal(value, &record); err != nil {
		return nil, err
	}
	for i, step := range steps[version-1:] {
		if err := step(record); err != nil {
			return nil, fmt.Errorf("read it as one of version %d: %w", version+i, err)
		}
	}
	return json.Marshal(record)
}

// toVersion2: the first programs knew one interface of a function, whose state lay in the attachment itself, and no device
// but an interface.
func toVersion2(record fields) error {
	var attachments []fields
	if err := json.Unmarshal(record["attachments"], &attachments); err != nil {
		return err
	}
	for _, one := range attachments {
		if _, known := one["ports"]; !known {
			port := fields{}
			for from, to := range map[string]string{"interface": "interface", "resting": "resting", "mac": "mac", "effectiveMTU": "mtu"} {
				if value, ok := one[from]; ok {
					port[to] = value
				}
			}
			text, err := json.Marshal([]fields{port})
			if err != nil {
				return err
			}
			one["ports"] = text
			delete(one, "resting")
			delete(one, "mac")
			delete(one, "effectiveMTU")
		}
		if device := string(one["device"]); device == "" || device == `""` {
			one["device"] = json.RawMessage(`"` + config.DeviceNetdev + `"`)
		}
	}
	text, err := json.Marshal(attachments)
	record["attachments"] = text
	return err
}

var addressForm = regexp.MustCompile(`[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]`)

// leave takes note of a record that a later program has written: it stays as it is, and what it names is given to nobody.
func (a *Attacher) leave(one journal.Record) {
	log := a.log.WithField("sandbox", one.Sandbox).WithField("version", one.Version)
	if one.Earlier {
		log.WithError(journal.ErrLater).Warn("a journal record of an earlier boot is left as it is")
		return
	}
	var held []string
	for _, text := range addressForm.FindAllString(string(one.Value), -1) {
		address, err := vf.ParsePCIAddress(text)
		if err != nil {
			continue
		}
		pf, known, ok := a.pool.Find(address)
		whole := strings.Contains(string(one.Value), `"pciAddress":"`+text+`"`)
		// A PF that is only named as the VF's is not the pod's.
		if ok && (known.Address != pf.Address || whole) && a.pool.Adopt(one.Sandbox, address, inventory.Group{}) {
			held = append(held, text)
		}
	}
	a.mutex.Lock()
	a.entries[one.Sandbox] = &entry{sandbox: Sandbox{ID: one.Sandbox}, phase: later}
	a.mutex.Unlock()
	log.WithField("pci", held).WithError(journal.ErrLater).Error("a journal record is left as it is, and what it names is given to nobody")
}
