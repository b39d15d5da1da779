package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
)

// stateSize is what a guest may keep; the file has holes and starts small.
const stateSize = "4G"

// makeState makes the file system that outlives a guest, unless it is there.
func makeState(ctx context.Context, place string) error {
	if place == "" {
		return nil
	}
	if _, err := os.Stat(place); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	made := place + ".making"
	if _, err := run(exec.CommandContext(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", made, stateSize)); err != nil {
		return fmt.Errorf("make the state disk %s: %w", place, err)
	}
	return os.Rename(made, place)
}
