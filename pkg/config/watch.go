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

// look is how often a change is looked for that nobody has told of: the folder itself may have been replaced.
const look = time.Minute

// Watch tells that the source may have changed, until ctx ends; then the channel is closed. What it tells is a hint: it may
// come without a change, and one value may stand for several. What it watches is the folder that the file is in, which sees
// a file that is replaced as well as the swap of ..data, which is how the kubelet changes a mounted ConfigMap.
func (s Source) Watch(ctx context.Context) (<-chan struct{}, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch the config: %w", err)
	}
	folder := s.Path
	if info, err := os.Stat(s.Path); err != nil || !info.IsDir() {
		folder = filepath.Dir(s.Path)
	}
	if err := watcher.Add(folder); err != nil {
		_ = watcher.Close() // nothing was written through it
		return nil, fmt.Errorf("watch the config's folder %s: %w", folder, err)
	}
	changed := make(chan struct{}, 1)
	go func() {
		defer close(changed)
		defer watcher.Close()
		settle(ctx, watcher, folder, changed)
	}()
	return changed, nil
}

// settle tells once per burst of events.
func settle(ctx context.Context, watcher *fsnotify.Watcher, folder string, changed chan<- struct{}) {
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
			_ = watcher.Add(folder) // as long as it is not there, nothing changes
			quiet = time.After(calm)
		case <-quiet:
			quiet = nil
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}
}
