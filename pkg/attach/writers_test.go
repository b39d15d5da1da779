package attach

import (
	"sync"
	"testing"
	"time"
)

// TestWritersAreBounded: a thread stays for each of those that write at the same time.
func TestWritersAreBounded(t *testing.T) {
	a := New(t.Context(), Options{})
	var all sync.WaitGroup
	var mutex sync.Mutex
	now, most, done := 0, 0, 0
	count := func(by int) {
		mutex.Lock()
		defer mutex.Unlock()
		now += by
		most = max(most, now)
		done += max(0, -by)
	}
	for range 10 * writers {
		all.Go(func() {
			_ = a.onDisk(func() error {
				count(1)
				time.Sleep(time.Millisecond)
				count(-1)
				return nil
			})
		})
	}
	all.Wait()
	if most > writers || most < 2 || done != 10*writers {
		t.Errorf("%d of %d have written, %d of them at the same time, of which %d are to be", done, 10*writers, most, writers)
	}
}
