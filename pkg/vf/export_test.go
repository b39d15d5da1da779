package vf

// SetFirstProcess has another process stand for the host's first, and gives back what it was.
func SetFirstProcess(process string) (back func()) {
	before := firstProcess
	firstProcess = process
	return func() { firstProcess = before }
}
