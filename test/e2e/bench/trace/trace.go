// Package trace reads what strace saw of a program, and counts what that cost. It knows nothing of the program.
package trace

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// Options has strace write what Parse reads. Its own decoding of netlink is for people, and changes between versions;
// `-e write=all` dumps the bytes beside it. Signals are left out: the Go runtime sends its threads many.
var Options = []string{
	"-f", "-ttt", "-yy", "-e", "signal=none", "-e", "write=all",
	"-e", "trace=sendto,sendmsg,sendmmsg,connect,execve,execveat,fsync,fdatasync,sync,syncfs,sync_file_range,clock_nanosleep",
}

// Call is one system call.
type Call struct {
	// Name is the system call's.
	Name string
	// Text is the line as strace has it, without thread and time; that of a call that was cut in two is put together.
	Text string
	// Sent are the bytes that it gave to the kernel, where it is one that sends.
	Sent []byte
}

var (
	// lineForm is the head of a line: thread and time.
	lineForm = regexp.MustCompile(`^\d+ +[\d.]+ (.*)$`)
	// resumedForm is the second half of a call during which another thread was seen.
	resumedForm = regexp.MustCompile(`^<\.\.\. \w+ resumed>(.*)$`)
	nameForm    = regexp.MustCompile(`^(\w+)\(`)
)

const unfinished = "<unfinished ...>"

// Parse reads strace's output, in the order in which the calls ended.
func Parse(text string) ([]Call, error) {
	var calls []Call
	begun := map[string]string{} // by thread
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, " | ") {
			if len(calls) == 0 {
				return nil, fmt.Errorf("bytes of no call: %q", line)
			}
			bytes, err := dumped(line)
			if err != nil {
				return nil, err
			}
			last := &calls[len(calls)-1]
			last.Sent = append(last.Sent, bytes...)
			continue
		}
		head := lineForm.FindStringSubmatch(line)
		if head == nil {
			continue // what it says beside calls, as of buffers of one call
		}
		thread, _, _ := strings.Cut(line, " ")
		said := head[1]
		if first, cut := strings.CutSuffix(said, unfinished); cut {
			begun[thread] = first
			continue
		}
		if rest := resumedForm.FindStringSubmatch(said); rest != nil {
			said = begun[thread] + rest[1]
			delete(begun, thread)
		}
		if name := nameForm.FindStringSubmatch(said); name != nil {
			calls = append(calls, Call{Name: name[1], Text: said})
		}
	}
	// A call that never ended was begun all the same; it is last, so that no bytes are taken for its own.
	for _, said := range begun {
		if name := nameForm.FindStringSubmatch(said); name != nil {
			calls = append(calls, Call{Name: name[1], Text: said + unfinished})
		}
	}
	return calls, nil
}

// dumped reads a line of a dump: the place, 16 bytes in two halves, and the same as characters, which may be anything.
func dumped(line string) ([]byte, error) {
	_, rest, ok := strings.Cut(strings.TrimPrefix(line, " | "), "  ")
	if !ok || len(rest) < 49 {
		return nil, fmt.Errorf("not a line of bytes: %q", line)
	}
	bytes, err := hex.DecodeString(strings.ReplaceAll(rest[:49], " ", ""))
	if err != nil {
		return nil, fmt.Errorf("not a line of bytes: %q: %w", line, err)
	}
	return bytes, nil
}
