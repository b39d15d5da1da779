package vf

import (
	"fmt"
	"path/filepath"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// Ends tells of network namespaces whose names vanish from the folders that runtimes mount them in. It may miss some, in
// a folder that is replaced at that moment or when the kernel drops events: look yourself from time to time.
type Ends struct {
	// Gone gets the path of each name that was removed from a folder that is watched, in the form in which the folder was
	// named to Add. It is closed by Close.
	Gone <-chan string

	watcher *fsnotify.Watcher
	done    sync.WaitGroup

	mutex   sync.Mutex
	folders map[string]bool
}

// WatchEnds begins to watch; no folder is watched yet.
func WatchEnds() (*Ends, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch folders of network namespaces: %w", err)
	}
	gone := make(chan string)
	e := &Ends{Gone: gone, watcher: watcher, folders: map[string]bool{}}
	e.done.Go(func() {
		defer close(gone)
		for {
			select {
			case event, open := <-watcher.Events:
				if !open {
					return
				}
				e.told(event, gone)
			case _, open := <-watcher.Errors:
				// Dropped events: those who sweep see what was not told.
				if !open {
					return
				}
			}
		}
	})
	return e, nil
}

func (e *Ends) told(event fsnotify.Event, gone chan<- string) {
	if !event.Has(fsnotify.Remove) && !event.Has(fsnotify.Rename) {
		return
	}
	e.mutex.Lock()
	itself := e.folders[event.Name]
	delete(e.folders, event.Name) // a folder that comes back is another one
	e.mutex.Unlock()
	if !itself {
		gone <- event.Name
	}
}

// Add watches the folder that the namespace at path is in. It is one system call for a folder that is new, and none for
// one that is watched.
func (e *Ends) Add(path string) error {
	folder := filepath.Dir(path)
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.folders[folder] {
		return nil
	}
	if err := e.watcher.Add(folder); err != nil {
		return fmt.Errorf("watch %s for the end of network namespaces: %w", folder, err)
	}
	e.folders[folder] = true
	return nil
}

// Close ends the watch. What Gone still holds is lost.
func (e *Ends) Close() error {
	err := e.watcher.Close()
	for range e.Gone {
	}
	e.done.Wait()
	if err != nil {
		return fmt.Errorf("end the watch of network namespaces: %w", err)
	}
	return nil
}
