package attach

// Revise has a sandbox whose attach failed ask for what its pod may have now: the config may have changed since. One that
// has anything, or is about to, keeps what it asked for.
func (a *Attacher) Revise(sandbox string, wants []Want, isolate bool) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if e, ok := a.entries[sandbox]; ok && e.phase == failed {
		e.wants, e.isolate = wants, isolate
	}
}

// Failed tells whether a sandbox's attach has failed and waits to be tried anew.
func (a *Attacher) Failed(sandbox string) bool {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	e, ok := a.entries[sandbox]
	return ok && e.phase == failed
}

// Reoffer brings to rest what nobody has and the config wants to rest in another driver than before. It starts the work
// and does not wait for it.
func (a *Attacher) Reoffer() { a.clean() }
