package deviceplugin

import (
	"errors"
	"io/fs"

	"github.com/fsnotify/fsnotify"
)

// watch tells of what happens in a folder that may come and go.
type watch struct {
	dir     string
	watcher *fsnotify.Watcher
}

func newWatch(dir string) *watch {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		watcher = nil // the folder is looked at from time to time
	}
	return &watch{dir, watcher}
}

// begin watches the folder that is there now. It is asked for again and again: the one before may have been removed.
func (w *watch) begin() {
	if w.watcher == nil {
		return
	}
	if err := w.watcher.Add(w.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.close()
		w.watcher = nil
	}
}

func (w *watch) events() <-chan fsnotify.Event {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Events
}

func (w *watch) close() {
	if w.watcher != nil {
		_ = w.watcher.Close() // nothing was written through it
	}
}
