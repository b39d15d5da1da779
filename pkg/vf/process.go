package vf

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNoProcess says that there is no process with a number, or none any more.
var ErrNoProcess = errors.New("there is no such process")

// hostPIDNamespace is PROC_PID_INIT_INO of linux/proc_ns.h.
const hostPIDNamespace = "pid:[4026531836]"

// SeesProcesses tells whether this process sees the host's processes: it runs in the host's PID namespace.
func SeesProcesses() bool {
	target, err := os.Readlink("/proc/self/ns/pid")
	return err == nil && target == hostPIDNamespace
}

// ProcessStart tells a process from a later one of the same number: when it began, in clock ticks after the boot (field
// starttime of proc(5)). ErrNoProcess comes for one that has ended, also while its parent has not noticed.
func ProcessStart(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return 0, fmt.Errorf("look at process %d: %w", pid, ErrNoProcess)
	}
	if err != nil {
		return 0, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return parseProcessStart(pid, string(text))
}

func parseProcessStart(pid int, text string) (uint64, error) {
	// The name is in brackets and may hold anything, brackets and spaces too.
	_, rest, _ := cutLast(text, ") ")
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return 0, fmt.Errorf("look at process %d: its state has %d fields after the name", pid, len(fields))
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, fmt.Errorf("look at process %d: %w", pid, ErrNoProcess)
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return start, nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}
