package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/failpoint"
)

const (
	version    = 1
	folder     = "sandboxes"
	suffix     = ".json"
	setAside   = ".broken"
	maxRecord  = 1 << 20
	bootIDFile = "/proc/sys/kernel/random/boot_id"
)

// Journal is the folder of records. Calls for different sandboxes may run at the same time.
type Journal struct {
	dir    string
	bootID string
}

// envelope is the file form of a record.
type envelope struct {
	Version int             `json:"version"`
	BootID  string          `json:"bootID"`
	Record  json.RawMessage `json:"record"`
}

// Record is one record that was read back.
type Record struct {
	// Sandbox is the id it was put under.
	Sandbox string
	// Value is what was put.
	Value json.RawMessage
	// Earlier tells that the record is of an earlier boot.
	Earlier bool
}

// Broken is a record that could not be read and was set aside.
type Broken struct {
	// Path is where the file lies now.
	Path string
	// Reason says what is wrong with it.
	Reason error
}

// Open makes the folder of records below the state folder and reads the boot id.
func Open(stateDir string) (*Journal, error) {
	id, err := os.ReadFile(bootIDFile)
	if err != nil {
		return nil, fmt.Errorf("read the boot id: %w", err)
	}
	j := &Journal{dir: filepath.Join(stateDir, folder), bootID: strings.TrimSpace(string(id))}
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the journal: %w", err)
	}
	return j, nil
}

// Put writes or replaces the record of a sandbox.
func (j *Journal) Put(sandbox string, value any) error {
	name, err := j.path(sandbox)
	if err != nil {
		return err
	}
	if err := j.put(name, value); err != nil {
		return fmt.Errorf("write the journal of sandbox %s: %w", sandbox, err)
	}
	return nil
}

func (j *Journal) put(name string, value any) error {
	record, err := json.Marshal(value)
	if err != nil {
		return err
	}
	text, err := json.Marshal(envelope{Version: version, BootID: j.bootID, Record: record})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return err
	}
	draft, err := os.CreateTemp(j.dir, ".draft-*")
	if err != nil {
		return err
	}
	_, err = draft.Write(append(text, '\n'))
	if err = errors.Join(err, draft.Close()); err == nil {
		err = os.Rename(draft.Name(), name)
		failpoint.Step(failpoint.Disk)
	}
	if err != nil {
		return errors.Join(err, os.Remove(draft.Name()))
	}
	return nil
}

// Delete removes the record of a sandbox; one that is not there is success.
func (j *Journal) Delete(sandbox string) error {
	name, err := j.path(sandbox)
	if err != nil {
		return err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete the journal of sandbox %s: %w", sandbox, err)
	}
	failpoint.Step(failpoint.Disk)
	return nil
}

// Load reads all records. One that cannot be read is renamed to *.broken, reported, and stands in nobody's way.
// Drafts that a killed daemon left are removed.
func (j *Journal) Load() ([]Record, []Broken, error) {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, nil, fmt.Errorf("read the journal: %w", err)
	}
	var records []Record
	var broken []Broken
	for _, entry := range entries {
		name := filepath.Join(j.dir, entry.Name())
		if strings.HasPrefix(entry.Name(), ".draft-") {
			_ = os.Remove(name) // what stays is tried again at the next start
			continue
		}
		sandbox, ok := strings.CutSuffix(entry.Name(), suffix)
		if !ok {
			continue
		}
		record, err := j.load(name, sandbox)
		if err != nil {
			aside := name + setAside
			broken = append(broken, Broken{Path: aside, Reason: errors.Join(err, os.Rename(name, aside))})
			continue
		}
		records = append(records, record)
	}
	return records, broken, nil
}

// Read reads the records below a state folder and changes nothing: broken ones are left out, and no folder is no record.
func Read(stateDir string) ([]Record, error) {
	id, err := os.ReadFile(bootIDFile)
	if err != nil {
		return nil, fmt.Errorf("read the boot id: %w", err)
	}
	j := &Journal{dir: filepath.Join(stateDir, folder), bootID: strings.TrimSpace(string(id))}
	entries, err := os.ReadDir(j.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	var records []Record
	for _, entry := range entries {
		if sandbox, ok := strings.CutSuffix(entry.Name(), suffix); ok {
			if record, err := j.load(filepath.Join(j.dir, entry.Name()), sandbox); err == nil {
				records = append(records, record)
			}
		}
	}
	return records, nil
}

func (j *Journal) load(name, sandbox string) (Record, error) {
	if _, err := j.path(sandbox); err != nil {
		return Record{}, err
	}
	info, err := os.Lstat(name)
	if err != nil {
		return Record{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxRecord {
		return Record{}, fmt.Errorf("no regular file of at most %d bytes", maxRecord)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return Record{}, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var e envelope
	if err := decoder.Decode(&e); err != nil {
		return Record{}, err
	}
	if e.Version != version {
		return Record{}, fmt.Errorf("version %d, this daemon writes %d", e.Version, version)
	}
	if len(e.Record) == 0 || e.BootID == "" {
		return Record{}, errors.New("incomplete record")
	}
	return Record{Sandbox: sandbox, Value: e.Record, Earlier: e.BootID != j.bootID}, nil
}

var sandboxForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

// path keeps sandbox ids, which come from outside, from naming another folder.
func (j *Journal) path(sandbox string) (string, error) {
	if !sandboxForm.MatchString(sandbox) {
		return "", fmt.Errorf("sandbox id %q is not fit for a file name", sandbox)
	}
	return filepath.Join(j.dir, sandbox+suffix), nil
}

// SetAside renames the record of a sandbox to *.broken, for a person to look at.
func (j *Journal) SetAside(sandbox string) error {
	name, err := j.path(sandbox)
	if err != nil {
		return err
	}
	return os.Rename(name, name+setAside)
}
