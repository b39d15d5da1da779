package trace

import (
	"debug/elf"
	"fmt"
	"slices"
	"strings"
	"time"
)

// sleepers are the functions of Go's library in which code sleeps or waits for a time; time.After is inlined and calls
// the second. A Go program makes no system call for that: the scheduler's next wait for events is cut short, as it is for
// a deadline that nobody reaches. So system calls do not tell, and the kernel notes the calls of these functions instead.
var sleepers = []string{"time.Sleep", "time.NewTimer"}

// sleepingCalls are the functions that would sleep in a nanosleep of the program's own. The Go runtime's monitor thread
// makes that call all the time; but the linker leaves out what nobody calls, and so it is enough to look for these.
var sleepingCalls = []string{"syscall.Nanosleep", "golang.org/x/sys/unix.Nanosleep", "golang.org/x/sys/unix.ClockNanosleep"}

// Probes are the lines for the kernel's uprobe_events that note each call of a sleeper in a Go binary, with the duration,
// which is the first argument and so in RAX. binary is the file here, path is where it lies in the guest. A binary that
// has a sleeping call is an error.
func Probes(binary, path string) ([]string, error) {
	file, err := elf.Open(binary)
	if err != nil {
		return nil, fmt.Errorf("look for sleeps: %w", err)
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		return nil, fmt.Errorf("look for sleeps in %s: %w", binary, err)
	}
	var probes []string
	for _, symbol := range symbols {
		if slices.Contains(sleepingCalls, symbol.Name) {
			return nil, fmt.Errorf("%s has %s: something in it sleeps in a system call", binary, symbol.Name)
		}
		if !slices.Contains(sleepers, symbol.Name) {
			continue
		}
		offset, err := fileOffset(file, symbol.Value)
		if err != nil {
			return nil, fmt.Errorf("look for %s in %s: %w", symbol.Name, binary, err)
		}
		name := strings.ToLower(strings.ReplaceAll(symbol.Name, ".", "_"))
		probes = append(probes, fmt.Sprintf("p:%s %s:%#x duration=%%ax:s64", name, path, offset))
	}
	if len(probes) == 0 {
		return nil, fmt.Errorf("%s has none of %v, or no symbols", binary, sleepers)
	}
	return probes, nil
}

// fileOffset is where an address of a program lies in its file.
func fileOffset(file *elf.File, address uint64) (uint64, error) {
	for _, part := range file.Progs {
		if part.Type == elf.PT_LOAD && address >= part.Vaddr && address < part.Vaddr+part.Filesz {
			return address - part.Vaddr + part.Off, nil
		}
	}
	return 0, fmt.Errorf("address %#x is in no part of the file", address)
}

// Sleeps are the durations in what the kernel noted of the probes, but those from periodic on: what a program does every
// so often holds nothing up.
func Sleeps(noted string, periodic time.Duration) ([]time.Duration, error) {
	var sleeps []time.Duration
	for line := range strings.Lines(noted) {
		_, number, ok := strings.Cut(strings.TrimSpace(line), "duration=")
		if !ok {
			continue // the head of the list
		}
		var duration time.Duration
		if _, err := fmt.Sscan(number, (*int64)(&duration)); err != nil {
			return nil, fmt.Errorf("read what the kernel noted: %w in %q", err, line)
		}
		if duration < periodic {
			sleeps = append(sleeps, duration)
		}
	}
	return sleeps, nil
}
