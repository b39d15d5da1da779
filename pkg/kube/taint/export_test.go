package taint

import "time"

// Hasten has the node looked at again after some milliseconds.
func Hasten(t *Tainter) { t.lookAgain, t.lookFor = 20*time.Millisecond, 5*time.Millisecond }
