package attach

// HoldWrites stops the writing of a sandbox's record, as a disk that does not answer, until the answer is called.
func (a *Attacher) HoldWrites(sandbox string) (end func()) {
	a.mutex.Lock()
	e := a.entries[sandbox]
	a.mutex.Unlock()
	e.writing.Lock()
	return e.writing.Unlock
}
