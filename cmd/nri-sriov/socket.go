package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
)

const socketName = "nri-sriov.sock"

// socket is what the subcommands talk to. It is listened to anew where somebody has removed it.
type socket struct {
	runDir string
	// serve serves a listener and answers how to stop that.
	serve func(net.Listener, http.Handler) (stop func())
	api   http.Handler

	mutex sync.Mutex
	info  os.FileInfo
	stop  func()
	ended bool
}

// keep listens, where nothing does yet or any more.
func (s *socket) keep() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	path := filepath.Join(s.runDir, socketName)
	if now, err := os.Lstat(path); s.ended || err == nil && s.info != nil && os.SameFile(now, s.info) {
		return nil
	}
	s.end()
	if err := os.MkdirAll(s.runDir, 0o755); err != nil {
		return fmt.Errorf("make the run folder: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove an old socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	err = os.Chmod(path, 0o600)
	if err == nil {
		s.info, err = os.Lstat(path)
	}
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.stop = s.serve(listener, s.api)
	return nil
}

func (s *socket) end() {
	if s.stop != nil {
		s.stop()
	}
	s.stop, s.info = nil, nil
}

// close ends it for good.
func (s *socket) close() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.ended = true
	s.end()
}
