// Package protocol is what the lab's two sides say to each other: the host
// (package lab) and the agent inside the guest. It holds types and names only.
package protocol

// Port is where the agent listens inside the guest.
const Port = 9

// TokenHeader carries the guest's token, so that a request which reaches
// another guest's port is refused and not run there.
const TokenHeader = "X-Lab-Token"

// Names of the kernel's command line arguments that the guest reads.
const (
	ArgToken = "lab.token" // the value of TokenHeader
	ArgNIC   = "lab.nic"   // name@PCI address of a PF, once per PF
	ArgVFs   = "lab.vfs"   // how many VFs each PF gets; 0 leaves them alone
)

// ModuleList is the file in the initramfs that names, one per line and in
// order, the modules to load before the root is mounted.
const ModuleList = "/modules.list"

// Paths of the agent's requests.
const (
	PathReady   = "/ready"   // GET: Ready
	PathRun     = "/run"     // POST Command: Result
	PathStart   = "/start"   // POST Command: Process
	PathSignal  = "/signal"  // POST ?pid=&signal=
	PathWait    = "/wait"    // GET ?pid=&ms=: Status
	PathFile    = "/file"    // GET ?path=: bytes; PUT ?path=&mode= bytes
	PathArchive = "/archive" // GET ?path=&path=: a tar stream
	PathDial    = "/dial"    // GET ?path=: upgraded to the socket's stream
)

// Ready is the agent's first answer.
type Ready struct {
	Kernel  string  // uname -r
	Seconds float64 // since power-on, as the guest counts them
}

// Command is a program to run. Name is used by PathStart only, for its log.
type Command struct {
	Name string
	Argv []string
	Env  []string // added to the agent's own
	Dir  string
	// Stdin is all the program can read.
	Stdin []byte
}

// Result is how a Command ended. Error is set when it could not run at all.
type Result struct {
	Stdout, Stderr []byte
	Code           int // exit code; 128 and the signal's number when killed
	Error          string
}

// Process is a started Command.
type Process struct {
	PID int
	Log string
}

// Status is the state of a started process.
type Status struct {
	Exited bool
	Code   int // as Result.Code
}
