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
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Bound remembers which functions were taken from their network driver, and how their interfaces rest when it has them:
// a file each in the run folder, which a reboot empties as it gives every function back. An interface bears a mark of its
// own; a function without interface cannot.
type Bound struct{ dir string }

// OpenBound makes the folder below the run folder.
func OpenBound(runDir string) (*Bound, error) {
	b := &Bound{dir: filepath.Join(runDir, "bound")}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of bound functions: %w", err)
	}
	return b, nil
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
	Home   []Resting      `json:"home,omitempty"`
	NumVFs int            `json:"numVFs,omitempty"`
	Names  map[int]string `json:"names,omitempty"`
}

func (b *Bound) put(a Attachment) error {
	text, err := json.Marshal(bound{Home: a.Home, NumVFs: a.NumVFs, Names: a.VFNames})
	if err == nil {
		err = replace(b.dir, a.Address.String(), text)
	}
	if err != nil {
		return fmt.Errorf("write down how %s rests: %w", a.Address, err)
	}
	return nil
}

// read answers nothing for a function that is not bound, or whose file tells nothing: its interfaces are then taken as
// they come.
func (b *Bound) read(address vf.PCIAddress) bound {
	var one bound
	text, err := os.ReadFile(filepath.Join(b.dir, address.String()+".json"))
	if err != nil || json.Unmarshal(text, &one) != nil {
		return bound{}
	}
	for _, home := range one.Home {
		if !fitName(home.Interface) || home.MAC.IsZero() {
			return bound{}
		}
	}
	return one
}

func (b *Bound) home(address vf.PCIAddress) []Resting { return b.read(address).Home }

func (b *Bound) remove(address vf.PCIAddress) error {
	err := os.Remove(filepath.Join(b.dir, address.String()+".json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget how %s rests: %w", address, err)
	}
	failpoint.Step(failpoint.Disk)
	return nil
}
