package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/guest/protocol"
)

func readFile(w http.ResponseWriter, r *http.Request) {
	data, err := os.ReadFile(r.FormValue("path")) // whole: files of /proc have no size
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		_, _ = w.Write(data) // the host is gone when this fails
	}
}

func writeFile(w http.ResponseWriter, r *http.Request) {
	mode, err := strconv.ParseUint(r.FormValue("mode"), 8, 32)
	if err == nil {
		err = store(r.FormValue("path"), os.FileMode(mode), r.Body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// store replaces a file whole, so that a running program's binary can be
// replaced. The kernel's own files are written in place.
func store(path string, mode os.FileMode, data io.Reader) error {
	if strings.HasPrefix(path, "/sys/") || strings.HasPrefix(path, "/proc/") {
		text, err := io.ReadAll(data)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		return errors.Join(err, f.Close())
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".write-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the rename
	_, err = io.Copy(f, data)
	if err = errors.Join(err, f.Chmod(mode), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// archive sends files and whole folders as tar. What cannot be read is left
// out: this is for logs after a failure, and some of them are better than none.
func archive(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out := tar.NewWriter(w)
	defer out.Close()
	for _, root := range r.Form["path"] {
		_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return nil
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return nil
			}
			header := &tar.Header{Name: strings.TrimPrefix(path, "/"), Mode: 0o644, Size: int64(len(data)), ModTime: time.Now()}
			if err := out.WriteHeader(header); err != nil {
				return err
			}
			_, err = out.Write(data)
			return err
		})
	}
}

// dial turns the request's connection into one to a unix socket.
func dial(w http.ResponseWriter, r *http.Request) {
	socket, err := net.Dial("unix", r.FormValue("path"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer socket.Close()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol.PathDial[1:]); err != nil {
		return
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.Copy(socket, buffered)
		_ = socket.(*net.UnixConn).CloseWrite()
	}()
	_, _ = io.Copy(conn, socket)
	_ = conn.(*net.TCPConn).CloseWrite()
	<-sent
}
