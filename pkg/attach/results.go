package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/nri-sriov/nri-sriov/pkg/failpoint"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
)

// Results are the files that tell what pods have got: CNI results in results/<sandbox id>/<interface>.json, and what
// is mounted in containers in networks/<sandbox id>/<container id>.json.
type Results struct {
	results, networks string
}

// OpenResults makes the folders below the run folder. With an error they are not there yet, and are made when something is
// written that can be.
func OpenResults(runDir string) (*Results, error) {
	r := &Results{results: filepath.Join(runDir, "results"), networks: filepath.Join(runDir, "networks")}
	return r, errors.Join(makeDir(r.results, 0o755), makeDir(r.networks, networksMode))
}

// networksMode: what containers are told is for them, and may hold the token of a device.
const networksMode = 0o700

func makeDir(dir string, mode os.FileMode) error {
	if err := os.MkdirAll(dir, mode); err != nil {
		return fmt.Errorf("make a folder: %w", journal.Trouble(dir, err))
	}
	return nil
}

// Check tries whether results of a sandbox could be written, before there are any.
func (r *Results) Check(sandbox string) error {
	dir := filepath.Join(r.results, sandbox)
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = write(dir, "check", make([]byte, checkSize), os.Remove)
	}
	if err != nil {
		return fmt.Errorf("make room for the results of sandbox %s: %w", sandbox, journal.Trouble(r.results, err))
	}
	return nil
}

// checkSize is in bytes; results and networks of a pod are seldom more.
const checkSize = 8 << 10

// Write writes one file per attachment; each appears whole or not at all. Ids and interface names were checked where
// they came in.
func (r *Results) Write(sandbox string, attachments []Attachment) error {
	for _, one := range attachments {
		if err := replace(filepath.Join(r.results, sandbox), one.Interface, one.Result); err != nil {
			return fmt.Errorf("write the result of %s: %w", one.Interface, err)
		}
	}
	return nil
}

// WriteNetworks writes what one container is told, and gives the file's path.
func (r *Results) WriteNetworks(sandbox, container string, text []byte) (string, error) {
	dir := filepath.Join(r.networks, sandbox)
	err := makeDir(r.networks, networksMode) // before replace makes it for all to read
	if err == nil {
		err = replace(dir, container, text)
	}
	if err != nil {
		return "", fmt.Errorf("write the networks of container %s: %w", container, err)
	}
	return filepath.Join(dir, container+".json"), nil
}

// replace writes a file that appears whole or not at all.
func replace(dir, name string, text []byte) error {
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = write(dir, name, append(text, '\n'), func(written string) error {
			err := os.Rename(written, filepath.Join(dir, name+".json"))
			failpoint.Step(failpoint.Disk)
			return err
		})
	}
	return journal.Trouble(dir, err)
}

// write writes a file under a name of its own, whatever lies there, and has it used; what is not used is removed.
func write(dir, name string, text []byte, use func(written string) error) error {
	file, err := os.CreateTemp(dir, "."+name+draftMark+"*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if mode := file.Chmod(0o644); err == nil {
		err = mode
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = use(file.Name())
	}
	if err != nil {
		_ = os.Remove(file.Name()) // it goes with its sandbox, or at the next start
	}
	return err
}

// draftMark is in the name of a file that is being written.
const draftMark = ".draft-"

// Retain removes what there is of sandboxes that are not known.
func (r *Results) Retain(known func(sandbox string) bool) error {
	var failed []error
	for _, dir := range []string{r.results, r.networks} {
		entries, err := os.ReadDir(dir)
		if !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
		for _, one := range entries {
			if !known(one.Name()) {
				failed = append(failed, os.RemoveAll(filepath.Join(dir, one.Name())))
			}
		}
	}
	return errors.Join(failed...)
}

// Remove removes what there is of a sandbox; nothing is success.
func (r *Results) Remove(sandbox string) error {
	for _, dir := range []string{r.results, r.networks} {
		if err := removeAll(filepath.Join(dir, sandbox)); err != nil {
			return fmt.Errorf("remove the results of sandbox %s: %w", sandbox, journal.Trouble(dir, err))
		}
	}
	return nil
}

// removeAll is os.RemoveAll which asks first: a read-only disk refuses to remove what is not there.
func removeAll(path string) error {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return os.RemoveAll(path)
}
