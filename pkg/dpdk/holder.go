package dpdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// Holder is a process that has a device node open.
type Holder struct {
	PID int
	// Comm is the first 15 bytes of its name, as the kernel keeps it.
	Comm string
	// Path is the node.
	Path string
}

func (h Holder) String() string { return fmt.Sprintf("%s (pid %d) holds %s", h.Comm, h.PID, h.Path) }

// Holders lists the processes that have one of the nodes open, by PID. procDir is the host's /proc: a process outside of
// its PID namespace is not seen. Links of /proc are read and never followed, so that no dead file server can hold it up.
// A node that was removed and is still open counts by its old name.
//
// Processes that end meanwhile are left out. When some may not be looked at, the error says so beside what was found.
func Holders(ctx context.Context, procDir string, paths ...string) ([]Holder, error) {
	found, err := scan(ctx, procDir, paths)
	if err != nil {
		return found, fmt.Errorf("look for processes that hold %s: %w", strings.Join(paths, ", "), err)
	}
	return found, nil
}

func scan(ctx context.Context, procDir string, paths []string) ([]Holder, error) {
	proc, err := os.OpenRoot(procDir)
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	dir, err := proc.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var found []Holder
	hidden := 0
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		held, err := heldBy(ctx, proc, name, paths)
		switch {
		case errors.Is(err, fs.ErrPermission):
			hidden++
		case gone(err):
		case err != nil:
			return found, err
		}
		comm, _ := proc.ReadFile(path.Join(name, "comm")) // a name for the error message, no more
		for _, each := range held {
			found = append(found, Holder{pid, processName(comm), each})
		}
	}
	slices.SortFunc(found, func(a, b Holder) int { return a.PID - b.PID })
	if hidden > 0 {
		return found, fmt.Errorf("processes whose open files may not be read: %d: run as root", hidden)
	}
	return found, nil
}

// processName is what a process calls itself, which may be anything, made fit for the middle of a line.
func processName(comm []byte) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, strings.TrimSuffix(string(comm), "\n"))
}

// heldBy tells which of the paths a process has open, each once. It reads in batches: a process may have a million files
// open, and the context ends between two batches at the latest.
func heldBy(ctx context.Context, proc *os.Root, pid string, paths []string) ([]string, error) {
	fds, err := proc.OpenRoot(path.Join(pid, "fd"))
	if err != nil {
		return nil, err
	}
	defer fds.Close()
	dir, err := fds.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var held []string
	for {
		if err := ctx.Err(); err != nil {
			return held, err
		}
		names, err := dir.Readdirnames(512)
		for _, name := range names {
			target, err := fds.Readlink(name)
			if gone(err) {
				continue
			}
			if err != nil {
				return held, err
			}
			target = strings.TrimSuffix(target, " (deleted)")
			if slices.Contains(paths, target) && !slices.Contains(held, target) {
				held = append(held, target)
			}
		}
		if errors.Is(err, io.EOF) {
			return held, nil
		}
		if err != nil {
			return held, err
		}
	}
}

func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}
