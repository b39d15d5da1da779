package config

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// calm is how long nothing may happen before a change counts as complete: editors and the kubelet write in several steps.
const calm = 200 * time.Millisecond

// look is how often a change is looked for that nobody has told of: the folder may have been replaced, or not have been there.
const look = time.Minute

// Watch tells that the source may have changed, until ctx ends; then the channel is closed. What it tells is a hint: it may
// come without a change, and one value may stand for several. What it watches is the folder that the file is in, which sees
// a file that is replaced as well as the swap of ..data, which is how the kubelet changes a mounted ConfigMap. A folder that
// is not there yet is looked for from time to time.
func (s Source) Watch(ctx context.Context) (<-chan struct{}, error) { return s.watch(ctx, look) }

func (s Source) watch(ctx context.Context, look time.Duration) (<-chan struct{}, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch the config: %w", err)
	}
	_ = watcher.Add(s.folder()) // it is tried again
	changed := make(chan struct{}, 1)
	go func() {
		defer close(changed)
		defer watcher.Close()
		s.settle(ctx, watcher, look, changed)
	}()
	return changed, nil
}

// folder is what is to be watched now.
func (s Source) folder() string {
	if info, err := os.Stat(s.Path); err != nil || !info.IsDir() {
		return filepath.Dir(s.Path)
	}
	return s.Path
}

// settle tells once per burst of events.
func (s Source) settle(ctx context.Context, watcher *fsnotify.Watcher, look time.Duration, changed chan<- struct{}) {
	var quiet <-chan time.Time
	again := time.NewTicker(look)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-watcher.Events:
			if !open {
				return
			}
			quiet = time.After(calm)
		case _, open := <-watcher.Errors:
			if !open {
				return
			}
			quiet = time.After(calm) // events were dropped: look
		case <-again.C:
			quiet = time.After(calm)
		case <-quiet:
			quiet = nil
			_ = watcher.Add(s.folder()) // as long as it is not there, nothing changes
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}
}
