package attach

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/failpoint"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Bound remembers which functions were taken from their network driver, and how their interfaces rest when it has them:
// a file each in the run folder, which a reboot empties as it gives every function back. An interface bears a mark of its
// own; a function without interface cannot.
type Bound struct{ dir string }

// OpenBound makes the folder below the run folder, and removes what a killed daemon has left half written. With an error it
// is not there yet, and is made when something is written that can be.
func OpenBound(runDir string) (*Bound, error) {
	b := &Bound{dir: filepath.Join(runDir, "bound")}
	if err := makeDir(b.dir, 0o755); err != nil {
		return b, err
	}
	entries, err := os.ReadDir(b.dir)
	for _, entry := range entries {
		if strings.Contains(entry.Name(), draftMark) {
			_ = os.Remove(filepath.Join(b.dir, entry.Name())) // what stays is tried again at the next start
		}
	}
	return b, err
}

// ReadBound lists the functions below a run folder; a folder that is not there has none.
func ReadBound(runDir string) (map[vf.PCIAddress]bool, error) {
	entries, err := os.ReadDir(filepath.Join(runDir, "bound"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the bound functions: %w", err)
	}
	bound := map[vf.PCIAddress]bool{}
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".json")
		if address, err := vf.ParsePCIAddress(name); ok && err == nil {
			bound[address] = true
		}
	}
	return bound, nil
}

// bound is what a file holds.
type bound struct {
	// Version is journal.Version at the time of writing; 0 is 1, in the same form.
	Version int `json:"version,omitempty"`

	Home   []Resting      `json:"home,omitempty"`
	NumVFs int            `json:"numVFs,omitempty"`
	Names  map[int]string `json:"names,omitempty"`
}

func (b *Bound) put(a Attachment) error {
	text, err := json.Marshal(bound{Version: journal.Version, Home: a.Home, NumVFs: a.NumVFs, Names: a.VFNames})
	if err == nil {
		err = replace(b.dir, a.Address.String(), text)
	}
	if err != nil {
		return fmt.Errorf("write down how %s rests: %w", a.Address, err)
	}
	return nil
}

// read answers nothing for a function that is not bound, or whose file tells nothing: its interfaces are then taken as
// they come. The error is that a later program has written it, which alone knows what it says.
func (b *Bound) read(address vf.PCIAddress) (bound, error) {
	var one bound
	text, err := journal.ReadFile(filepath.Join(b.dir, address.String()+".json"))
	if err != nil {
		return bound{}, nil
	}
	var form struct {
		Version int `json:"version"`
	}
	if json.Unmarshal(text, &form) == nil && form.Version > journal.Version {
		return bound{}, fmt.Errorf("how %s rests: %w", address, journal.ErrLater)
	}
	if json.Unmarshal(text, &one) != nil {
		return bound{}, nil
	}
	for _, home := range one.Home {
		if !fitName(home.Interface) || home.MAC.IsZero() {
			return bound{}, nil
		}
	}
	for _, name := range one.Names {
		if !fitName(name) {
			return bound{}, nil
		}
	}
	return one, nil
}

func (b *Bound) remove(address vf.PCIAddress) error {
	if err := removeAll(filepath.Join(b.dir, address.String()+".json")); err != nil {
		return fmt.Errorf("forget how %s rests: %w", address, journal.Trouble(b.dir, err))
	}
	failpoint.Step(failpoint.Disk)
	return nil
}
