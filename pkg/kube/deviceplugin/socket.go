package deviceplugin

import (
	"io/fs"
	"syscall"
)

// SocketID tells a socket from a later one of its name, which may have the same number.
type SocketID struct {
	inode   uint64
	changed syscall.Timespec
}

// SocketOf looks at the socket that lies at a path now; an error is of type fs.PathError.
func SocketOf(path string) (SocketID, error) {
	var stat syscall.Stat_t
	if err := syscall.Stat(path, &stat); err != nil {
		return SocketID{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return SocketID{stat.Ino, stat.Ctim}, nil // wall clock: another one is all that matters, not which
}
