package events

import "time"

// Hasten has repetitions counted at once: each is an Event of a later time than the pause.
func Hasten(r *Recorder) {
	r.now = func() time.Time {
		for _, one := range r.series {
			one.Value.(*series).pause = 0
		}
		return time.Now()
	}
}
