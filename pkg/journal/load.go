package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrLater says that a record was written by a later program than this one.
var ErrLater = errors.New("it was written by a later nri-sriov: start that one again, or remove the file when its pod is gone")

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
	// Version is the form of Value, from 1 to the package's.
	Version int
	// Value is what was put.
	Value json.RawMessage
	// Earlier tells that the record is of an earlier boot.
	Earlier bool
	// Later tells that the record is of a later version than the package's: it is to be left alone, and Value is the whole
	// file.
	Later bool
}

// Broken is a record that could not be read.
type Broken struct {
	// Path is where the file lies now; Aside tells that this is not where it lay before.
	Path  string
	Aside bool
	// Reason says what is wrong with it and, where it lies as it did, with setting it aside.
	Reason error
}

// Load reads all records. One that cannot be read is set aside, reported, and stands in nobody's way; so is one that cannot
// be set aside. Drafts that a killed daemon left are removed.
func (j *Journal) Load() ([]Record, []Broken, error) {
	names, err := j.names()
	if err != nil {
		return nil, nil, err
	}
	var records []Record
	var broken []Broken
	for _, name := range names {
		if strings.HasPrefix(name, draft) {
			_ = os.Remove(filepath.Join(j.dir, name)) // what stays is tried again at the next start
			continue
		}
		sandbox, ok := strings.CutSuffix(name, suffix)
		if !ok {
			continue
		}
		record, err := j.load(filepath.Join(j.dir, name), sandbox)
		if err != nil {
			broken = append(broken, j.setAsideFor(name, err))
			continue
		}
		if record.Later {
			j.keep(sandbox)
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
	names, err := j.names()
	var records []Record
	for _, name := range names {
		if sandbox, ok := strings.CutSuffix(name, suffix); ok {
			if record, err := j.load(filepath.Join(j.dir, name), sandbox); err == nil {
				records = append(records, record)
			}
		}
	}
	return records, err
}

// names lists the folder; one that is not there has nothing.
func (j *Journal) names() ([]string, error) {
	entries, err := os.ReadDir(j.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the journal: %w", Trouble(j.dir, err))
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, nil
}

func (j *Journal) load(name, sandbox string) (Record, error) {
	if _, err := j.path(sandbox); err != nil {
		return Record{}, err
	}
	text, err := ReadFile(name)
	if err != nil {
		return Record{}, err
	}
	var form struct {
		Version int    `json:"version"`
		BootID  string `json:"bootID"`
	}
	if err := json.Unmarshal(text, &form); err != nil {
		return Record{}, err
	}
	if form.Version > Version {
		return Record{Sandbox: sandbox, Version: form.Version, Value: text, Earlier: form.BootID != j.bootID, Later: true}, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var e envelope
	if err := decoder.Decode(&e); err != nil {
		return Record{}, err
	}
	if e.Version < 1 || len(e.Record) == 0 || e.BootID == "" {
		return Record{}, errors.New("incomplete record")
	}
	return Record{Sandbox: sandbox, Version: e.Version, Value: e.Record, Earlier: e.BootID != j.bootID}, nil
}

// ReadFile reads a regular file of at most 1 MiB, the bound of a record. It follows no link and waits for no writer.
func ReadFile(name string) ([]byte, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxRecord {
		return nil, fmt.Errorf("%s is no regular file of at most %d bytes", name, maxRecord)
	}
	return io.ReadAll(io.LimitReader(file, maxRecord))
}

func (j *Journal) keep(sandbox string) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.kept[sandbox] = true
}

// isKept tells whether a record is to be left alone; a person may have removed it meanwhile.
func (j *Journal) isKept(sandbox string) bool {
	j.mutex.Lock()
	kept := j.kept[sandbox]
	j.mutex.Unlock()
	if !kept {
		return false
	}
	name, err := j.path(sandbox)
	if err == nil {
		_, err = os.Lstat(name)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return true
	}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	delete(j.kept, sandbox)
	return false
}
