package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/nri-sriov/nri-sriov/pkg/failpoint"
)

// Version is the form of records that Put writes; see the package.
const Version = 2

const (
	folder     = "sandboxes"
	suffix     = ".json"
	draft      = ".draft-"
	maxRecord  = 1 << 20
	bootIDFile = "/proc/sys/kernel/random/boot_id"
)

// Journal is the folder of records. Calls for different sandboxes may run at the same time.
type Journal struct {
	dir    string
	bootID string

	// paying is held while what is owed is written.
	paying sync.Mutex

	// mutex guards the rest.
	mutex    sync.Mutex
	trouble  error
	errors   int
	setAside int
	// owed is what should lie there by sandbox, and does not; nil is nothing.
	owed map[string][]byte
	// kept are sandboxes whose record is of a later version.
	kept map[string]bool
	// probing is closed when the probe under way has ended.
	probing chan struct{}
}

// Open opens the records below the state folder and reads the boot id. That the folder cannot be made is no error, but
// Trouble.
func Open(stateDir string) (*Journal, error) {
	id, err := os.ReadFile(bootIDFile)
	if err != nil {
		return nil, fmt.Errorf("read the boot id: %w", err)
	}
	j := &Journal{
		dir: filepath.Join(stateDir, folder), bootID: strings.TrimSpace(string(id)),
		owed: map[string][]byte{}, kept: map[string]bool{},
	}
	if err := j.makeDir(); err != nil {
		j.note(Trouble(j.dir, err))
	}
	return j, nil
}

// Put writes or replaces the record of a sandbox.
func (j *Journal) Put(sandbox string, value any) error {
	name, err := j.path(sandbox)
	if err != nil {
		return err
	}
	text, err := j.wrap(value)
	if err == nil {
		err = j.change(sandbox, name, text)
	}
	if err != nil {
		return fmt.Errorf("write the journal of sandbox %s: %w", sandbox, err)
	}
	return nil
}

func (j *Journal) wrap(value any) ([]byte, error) {
	record, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(envelope{Version: Version, BootID: j.bootID, Record: record})
	return append(text, '\n'), err
}

// Delete removes the record of a sandbox; one that is not there is success.
func (j *Journal) Delete(sandbox string) error {
	name, err := j.path(sandbox)
	if err != nil {
		return err
	}
	if err := j.change(sandbox, name, nil); err != nil {
		return fmt.Errorf("delete the journal of sandbox %s: %w", sandbox, err)
	}
	return nil
}

// change makes the record of a sandbox be a text, nil for none. What is owed to others comes before a record, and what
// could not be done is owed.
func (j *Journal) change(sandbox, name string, text []byte) error {
	if j.isKept(sandbox) {
		return fmt.Errorf("%s: %w", name, ErrLater)
	}
	j.supersede(sandbox)
	var err error
	if text == nil {
		err = remove(name)
	} else if err = j.pay(sandbox); err == nil {
		err = j.put(name, text)
	}
	if err == nil {
		return nil
	}
	_, lies := os.Lstat(name)
	err = Trouble(j.dir, err)
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if !errors.Is(lies, fs.ErrNotExist) {
		j.owed[sandbox] = text
	}
	j.trouble = err
	j.errors++
	return err
}

func (j *Journal) put(name string, text []byte) error {
	if err := j.makeDir(); err != nil {
		return err
	}
	return j.write(text, func(written string) error {
		err := os.Rename(written, name)
		failpoint.Step(failpoint.Disk)
		return err
	})
}

// makeDir makes the folder. The one above is not only ours to read.
func (j *Journal) makeDir() error {
	if err := os.MkdirAll(filepath.Dir(j.dir), 0o755); err != nil {
		return err
	}
	return os.MkdirAll(j.dir, 0o700)
}

// write writes a text into a file of its own and has it used; what is not used is removed.
func (j *Journal) write(text []byte, use func(name string) error) error {
	file, err := os.CreateTemp(j.dir, draft+"*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = use(file.Name())
	}
	if err != nil {
		_ = os.Remove(file.Name()) // the next start tries again
	}
	return err
}

// remove removes a file. It looks first: a read-only disk refuses to remove what is not there.
func remove(name string) error {
	_, err := os.Lstat(name)
	if err == nil {
		err = os.Remove(name)
		failpoint.Step(failpoint.Disk)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

var sandboxForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

// path keeps sandbox ids, which come from outside, from naming another folder.
func (j *Journal) path(sandbox string) (string, error) {
	if !sandboxForm.MatchString(sandbox) {
		return "", fmt.Errorf("sandbox id %q is not fit for a file name", sandbox)
	}
	return filepath.Join(j.dir, sandbox+suffix), nil
}
