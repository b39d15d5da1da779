package attach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nri-sriov/nri-sriov/pkg/failpoint"
)

// Results are the files that tell what pods have got: CNI results in results/<sandbox id>/<interface>.json, and what
// is mounted in containers in networks/<sandbox id>/<container id>.json.
type Results struct {
	results, networks string
}

// OpenResults makes the folders below the run folder.
func OpenResults(runDir string) (*Results, error) {
	r := &Results{results: filepath.Join(runDir, "results"), networks: filepath.Join(runDir, "networks")}
	// What containers are told is for them: it may hold the token of a device.
	for dir, mode := range map[string]os.FileMode{r.results: 0o755, r.networks: 0o700} {
		if err := os.MkdirAll(dir, mode); err != nil {
			return nil, fmt.Errorf("make the folder of results: %w", err)
		}
	}
	return r, nil
}

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
	if err := replace(dir, container, text); err != nil {
		return "", fmt.Errorf("write the networks of container %s: %w", container, err)
	}
	return filepath.Join(dir, container+".json"), nil
}

func replace(dir, name string, text []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	draft := filepath.Join(dir, "."+name+".draft")
	err := os.WriteFile(draft, append(text, '\n'), 0o644)
	if err == nil {
		err = os.Rename(draft, filepath.Join(dir, name+".json"))
		failpoint.Step(failpoint.Disk)
	}
	if err != nil {
		return errors.Join(err, os.Remove(draft))
	}
	return nil
}

// Retain removes what there is of sandboxes that are not known.
func (r *Results) Retain(known func(sandbox string) bool) error {
	var failed []error
	for _, dir := range []string{r.results, r.networks} {
		entries, err := os.ReadDir(dir)
		failed = append(failed, err)
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
	err := errors.Join(os.RemoveAll(filepath.Join(r.results, sandbox)), os.RemoveAll(filepath.Join(r.networks, sandbox)))
	if err != nil {
		return fmt.Errorf("remove the results of sandbox %s: %w", sandbox, err)
	}
	return nil
}
