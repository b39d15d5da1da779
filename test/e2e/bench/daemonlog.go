package bench

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	tookForm = regexp.MustCompile(` took="?([^" \n]+)`)
	timeForm = regexp.MustCompile(`time="([^"]+)"`)
)

// log is what the daemon has said, from a place in its log on.
func (m *machine) log(ctx context.Context, from int) (string, error) {
	text, err := m.guest.ReadFile(ctx, m.daemon.Process().Log())
	if err != nil {
		return "", err
	}
	return string(text[min(from, len(text)):]), nil
}

func tookIn(line string) (time.Duration, error) {
	took := tookForm.FindStringSubmatch(line)
	if took == nil {
		return 0, fmt.Errorf("no time in %q", line)
	}
	return time.ParseDuration(took[1])
}

// hooksIn is what each call of a hook took, by the daemon's own clock, in the order of the log.
func hooksIn(log, hook string) (times []time.Duration, err error) {
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `msg="hook answered"`) || !strings.Contains(line, " hook="+hook+" ") && !strings.HasSuffix(line, " hook="+hook+"\n") {
			continue
		}
		took, err := tookIn(line)
		if err != nil {
			return nil, err
		}
		times = append(times, took)
	}
	return times, nil
}

// attachedIn is how many VFs were attached, and the time from the first that was begun to the last that was there.
func attachedIn(log string) (count int, took time.Duration, err error) {
	var first, last time.Time
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `msg="VF attached"`) {
			continue
		}
		took, err := tookIn(line)
		if err != nil {
			return 0, 0, err
		}
		said := timeForm.FindStringSubmatch(line)
		if said == nil {
			return 0, 0, fmt.Errorf("no time of day in %q", line)
		}
		end, err := time.Parse(time.RFC3339Nano, said[1])
		if err != nil {
			return 0, 0, err
		}
		if begun := end.Add(-took); count == 0 || begun.Before(first) {
			first = begun
		}
		if count == 0 || end.After(last) {
			last = end
		}
		count++
	}
	return count, last.Sub(first), nil
}

// resident is the daemon's resident memory, in MB.
func (m *machine) resident(ctx context.Context) (float64, error) {
	text, err := m.guest.ReadFile(ctx, fmt.Sprintf("/proc/%d/status", m.daemon.Process().PID()))
	if err != nil {
		return 0, err
	}
	return residentOf(string(text))
}

var residentForm = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

func residentOf(status string) (float64, error) {
	found := residentForm.FindStringSubmatch(status)
	if found == nil {
		return 0, fmt.Errorf("no resident memory in %q", status)
	}
	kilobytes, err := strconv.ParseFloat(found[1], 64)
	return kilobytes / 1024, err
}
