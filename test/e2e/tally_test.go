package e2e

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/daemon"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// tally is what a test of faults has counted. `make faults` collects it from the test's attributes.
type tally struct {
	// rows are those of the fault matrix in docs/reliability.md, such as "9,11".
	rows string
	// injected is how often the fault was brought about.
	injected int
	// without counts containers that ran without what their pod had asked for.
	without int
	// converge is the longest time from a fault to all being well again.
	converge time.Duration
}

// tell ends a test of faults: with its pods gone, VFs that are not free are lost, and differences from before are dirt.
func (s *subject) tell(c tally) {
	s.T.Helper()
	s.removeAll()
	lost := 0
	if _, err := s.AllFree(s.ctx()); err != nil {
		tree, err := s.Inventory(s.ctx())
		s.must(err)
		lost = notFree(tree)
	}
	unclean := differing(s.before, s.state())
	report(s.T, c, lost, unclean)
}

func report(t *testing.T, c tally, lost, unclean int) {
	t.Helper()
	for key, value := range map[string]string{
		"fault": c.rows, "injected": strconv.Itoa(c.injected), "without": strconv.Itoa(c.without), "lost": strconv.Itoa(lost),
		"unclean": strconv.Itoa(unclean), "converge": c.converge.Round(time.Millisecond).String(),
	} {
		t.Attr(key, value)
	}
	if c.injected == 0 || c.without > 0 || lost > 0 || unclean > 0 {
		t.Errorf("faults %d, containers without their VFs %d, VFs lost %d, lines of the VFs' state that differ %d", c.injected, c.without, lost, unclean)
	}
}

func notFree(tree daemon.Tree) int {
	count := 0
	for _, provider := range tree.Providers {
		for _, one := range provider.VFs {
			if one.State != "free" {
				count++
			}
		}
	}
	return count
}

// differing counts the lines of one text that the other one lacks, in both directions.
func differing(before, now string) int {
	count := map[string]int{}
	for line := range strings.Lines(strings.TrimSpace(before) + "\n") {
		count[line]++
	}
	for line := range strings.Lines(strings.TrimSpace(now) + "\n") {
		count[line]--
	}
	sum := 0
	for _, n := range count {
		sum += max(n, -n)
	}
	return sum
}

func TestDiffering(t *testing.T) {
	for _, c := range []struct {
		before, now string
		want        int
	}{{"a\nb\n", "b\na", 0}, {"a\nb", "a\nc", 2}, {"a", "a\na", 1}} {
		if got := differing(c.before, c.now); got != c.want {
			t.Errorf("%q and %q: %d", c.before, c.now, got)
		}
	}
}

// bare counts containers that lack an interface.
func (s *subject) bare(name string, containers ...string) int {
	s.T.Helper()
	count := 0
	for _, container := range containers {
		if links := strings.Fields(s.exec(container, "ls", "/sys/class/net")); !slices.Contains(links, name) {
			s.T.Logf("container %s has %v", container, links)
			count++
		}
	}
	return count
}

// connections counts how often the daemon, as it runs, has connected to the runtime, and how often it lost the connection.
func (s *subject) connections() (made, lost int) {
	s.T.Helper()
	log := s.log()
	return strings.Count(log, "connected to the runtime") - strings.Count(log, "not connected to the runtime"), strings.Count(log, "not connected to the runtime")
}

// log is what the daemon has said since it was started.
func (s *subject) log() string {
	s.T.Helper()
	text, err := s.ReadFile(s.ctx(), s.Daemon.Process().Log())
	s.must(err)
	said := string(text)
	return said[max(0, strings.LastIndex(said, "nri-sriov starts")):]
}

// within waits for a condition, and answers how long that took.
func (s *subject) within(limit time.Duration, condition func() error) time.Duration {
	s.T.Helper()
	begun := time.Now()
	s.must(lab.Eventually(s.T.Context(), limit, func(context.Context) error { return condition() }))
	return time.Since(begun)
}

// said waits until the daemon has said something.
func (s *subject) said(text string) {
	s.T.Helper()
	s.within(time.Minute, func() error {
		if !strings.Contains(s.log(), text) {
			return fmt.Errorf("the daemon has not said %q", text)
		}
		return nil
	})
}

// hooksWithin checks by the daemon's metrics that each call of some hooks took so many seconds at most; the limit is a
// bucket's.
func (s *subject) hooksWithin(limit string, hooks ...string) {
	s.T.Helper()
	metrics := s.shell("busybox wget -q -T 5 -O - http://127.0.0.1:9808/metrics")
	for _, hook := range hooks {
		calls := metric(metrics, fmt.Sprintf("nri_sriov_hook_duration_seconds_count{hook=%q}", hook))
		within := metric(metrics, fmt.Sprintf("nri_sriov_hook_duration_seconds_bucket{hook=%q,le=%q}", hook, limit))
		if within != calls {
			s.T.Errorf("%s took more than %s s: of %q calls %q took less", hook, limit, calls, within)
		}
	}
}

// metric finds a value among metrics; it is empty where there is none.
func metric(metrics, name string) string {
	for line := range strings.Lines(metrics) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
