package vf

import (
	"errors"
	"fmt"
	"os"
)

// Host is the node's side: its sysfs and its network namespace. Its methods may be used by several goroutines; changes
// to one PF are to be serialised by the caller, since drivers answer concurrent ones with EAGAIN.
type Host struct {
	sysfs *os.Root
	net   *Namespace
}

// OpenHost opens the sysfs tree at dir and the network namespace of this process, which must be the host's.
func OpenHost(dir string) (*Host, error) {
	sysfs, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open sysfs: %w", err)
	}
	net, err := ownNamespace()
	if err != nil {
		return nil, errors.Join(err, sysfs.Close())
	}
	return &Host{sysfs: sysfs, net: net}, nil
}

// Close gives back the handles.
func (h *Host) Close() error {
	return errors.Join(h.net.Close(), h.sysfs.Close())
}
