package dpdktest

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Run gives what is written into the files of the tree its effects, until the test ends: for code that has no other door
// to the kernel than the tree.
func (k *Kernel) Run() {
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				k.serve()
			}
		}
	})
	k.t.Cleanup(func() {
		close(done)
		running.Wait()
	})
}

// serve leaves driver_override as it was written: its first line is what counts, here and for who reads it.
func (k *Kernel) serve() {
	files := []string{"bus/pci/drivers_probe"}
	for _, pattern := range []string{"bus/pci/drivers/*/bind", "bus/pci/drivers/*/unbind", "bus/pci/devices/*/reset"} {
		found, err := filepath.Glob(filepath.Join(k.Dir, pattern))
		if err != nil {
			k.t.Error(err)
		}
		for _, each := range found {
			files = append(files, strings.TrimPrefix(each, k.Dir+"/"))
		}
	}
	for _, name := range files {
		text := k.read(name)
		if text == "" {
			continue
		}
		// Emptied before the effect, for which the writer waits before it writes again.
		if err := os.Truncate(filepath.Join(k.Dir, name), 0); err != nil {
			k.t.Error(err)
		}
		_ = k.Store(name, text) // nobody is there to hear the answer
	}
}

// ResetCount is Resets for tests that use Run.
func (k *Kernel) ResetCount() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.Resets
}
