package attach

import "time"

// Observer is told of what becomes of attachments. None of its functions may wait or call the Attacher, whose lock may be
// held; each may be nil.
type Observer struct {
	// Settled is told of each attach that has come to its end, unless it was called off.
	Settled func(Settled)
	// Quarantined is told of each try of a release after which the VF is not free, with the reason. The sandbox is empty
	// for a VF that nobody had.
	Quarantined func(sandbox Sandbox, one Attachment, err error)
	// Freed is told of each VF that is free again, and how long the try took that succeeded.
	Freed func(one Attachment, took time.Duration)
	// SetAside is told of each record of the journal that could not be read.
	SetAside func(sandbox string, err error)
	// Ended is told of each sandbox that is handed over for release.
	Ended func(sandbox Sandbox)
	// Lost is told of each VF that is gone from under its pod.
	Lost func(sandbox Sandbox, one Attachment)
}

// Settled is an attach that has come to its end.
type Settled struct {
	Sandbox Sandbox
	// Err says why the sandbox has nothing; nil when it has all that it asked for.
	Err error
	// Attachments are what it has.
	Attachments []Attachment
	// Late tells that the pod had started without its VFs while the daemon was away, Resumed that an earlier daemon began.
	Late, Resumed bool
	// Took is the time since the attempt began.
	Took time.Duration
}

func (o Observer) settled(s Settled) {
	if o.Settled != nil {
		o.Settled(s)
	}
}

func (o Observer) quarantined(sandbox Sandbox, one Attachment, err error) {
	if o.Quarantined != nil {
		o.Quarantined(sandbox, one, err)
	}
}

func (o Observer) freed(one Attachment, took time.Duration) {
	if o.Freed != nil {
		o.Freed(one, took)
	}
}

func (o Observer) setAside(sandbox string, err error) {
	if o.SetAside != nil {
		o.SetAside(sandbox, err)
	}
}

func (o Observer) ended(sandbox Sandbox) {
	if o.Ended != nil {
		o.Ended(sandbox)
	}
}

func (o Observer) lost(sandbox Sandbox, one Attachment) {
	if o.Lost != nil {
		o.Lost(sandbox, one)
	}
}
