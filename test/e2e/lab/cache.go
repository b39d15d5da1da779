package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// unusedAfter is how long a version of an artefact stays that nobody asks for.
const unusedAfter = 30 * 24 * time.Hour

// cache holds artefacts, each in a folder named after what it was made from.
type cache struct {
	dir      string
	progress io.Writer
}

// cacheDir is where artefacts are kept between runs.
func cacheDir() (string, error) {
	dir, err := os.UserCacheDir() // XDG_CACHE_HOME or ~/.cache
	if err != nil {
		return "", fmt.Errorf("find the cache folder (set HOME or XDG_CACHE_HOME): %w", err)
	}
	return filepath.Join(dir, "nri-sriov"), nil
}

// openCache waits until no other run prepares, and returns what ends ours.
func openCache(ctx context.Context, dir string, progress io.Writer) (*cache, func() error, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("make the cache: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, nil, fmt.Errorf("lock the cache: %w", err)
	}
	for told := false; ; told = true {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil, fmt.Errorf("lock the cache: %w", errors.Join(err, lock.Close()))
		}
		if !told {
			fmt.Fprintf(progress, "lab: another run prepares %s; waiting for it\n", dir)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("wait for another run to prepare %s: %w", dir, errors.Join(ctx.Err(), lock.Close()))
		}
	}
	c := &cache{dir: dir, progress: progress}
	c.sweep()
	return c, lock.Close, nil
}

// key names a version of an artefact by everything that it is made from.
func key(parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(sum, "%d:%s,", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// artefact returns the folder of one version of an artefact, making it when it
// is missing. It is made beside its place and renamed: a run that was killed
// leaves nothing that looks whole.
func (c *cache) artefact(name, key string, build func(dir string) error) (string, error) {
	place := filepath.Join(c.dir, name+"-"+key)
	if _, err := os.Stat(place); err == nil {
		now := time.Now()
		return place, os.Chtimes(place, now, now)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("look for %s: %w", name, err)
	}
	begin := time.Now()
	fmt.Fprintf(c.progress, "lab: %s: making it\n", name)
	dir, err := os.MkdirTemp(c.dir, "making-"+name+"-")
	if err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	defer os.RemoveAll(dir) // gone after the rename
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	if err := build(dir); err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	if err := os.Rename(dir, place); err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	fmt.Fprintf(c.progress, "lab: %s: made in %.1f s\n", name, time.Since(begin).Seconds())
	return place, nil
}

// sweep removes what killed runs left, and versions long unused. The lock is
// held, so whatever is being made is nobody's. Leftovers that stay are no harm.
func (c *cache) sweep() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !entry.IsDir() {
			continue
		}
		if strings.HasPrefix(entry.Name(), "making-") || time.Since(info.ModTime()) > unusedAfter {
			_ = os.RemoveAll(filepath.Join(c.dir, entry.Name()))
		}
	}
}

// heartbeat prints how far a long step is, until the returned function is called.
func (c *cache) heartbeat(what string, far func() string) (stop func()) {
	begin, end := time.Now(), make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(10 * time.Second); ; {
			select {
			case <-tick.C:
				fmt.Fprintf(c.progress, "lab: %s: %s after %.0f s\n", what, far(), time.Since(begin).Seconds())
			case <-end:
				tick.Stop()
				return
			}
		}
	}()
	return func() { close(end); <-stopped }
}
