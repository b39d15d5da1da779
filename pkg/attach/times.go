package attach

import "time"

// Times bound the waits. All of them are off the hooks but for those that a caller's context bounds.
type Times struct {
	// Attach bounds one try for each VF of an entry, Release one try.
	Attach, Release time.Duration
	// Retry is the pause after the first failed release; it doubles up to MaxRetry.
	Retry, MaxRetry time.Duration
	// Again is how long a failed attach stays failed before the gate tries anew.
	Again time.Duration
	// Absent is how long a sandbox may be missing from the runtime's list while its namespace lives.
	Absent time.Duration
}

// DefaultTimes are right for real adapters.
func DefaultTimes() Times {
	return Times{
		Attach: 30 * time.Second, Release: 30 * time.Second, Retry: time.Second, MaxRetry: time.Minute,
		Again: 2 * time.Second, Absent: 30 * time.Second,
	}
}
