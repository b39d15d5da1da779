package e2e

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

const (
	// soakEnv is how many pods come and go; see `make soak`.
	soakEnv     = "NRI_SRIOV_SOAK"
	shortSoak   = 18
	soakWorkers = 6
	day         = 86400 // seconds
)

// soakPods are what the pods of a soak ask for, in turns; the last one is refused.
var soakPods = []string{
	"public", "other", "fast", "woken", `[{network: public, mac: "02:00:00:00:01:%02x"}]`, "cold", `[{network: public, count: 2}]`,
	`[{network: public}, {network: fast}]`, "no-such-network",
}

// TestSoak has mixed pods come and go, a clock that leaps among them, and looks whether the daemon grows. Short in
// `make test`, as long as one likes with `make soak N=500`.
func TestSoak(t *testing.T) {
	t.Parallel()
	count := shortSoak
	if text := os.Getenv(soakEnv); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil || count < shortSoak {
			t.Fatalf("%s is %q, not a number from %d on", soakEnv, text, shortSoak)
		}
	}
	s := &subject{bench: boot(t, lab.Options{}).runtime(t, lab.ContainerdOptions{}).bench, T: t, config: dpdkConfig}
	s.startWarm()
	s.churn(shortSoak / 2) // what is made once is made by then
	before := s.usage()
	begun := time.Now()
	refused := s.churn(count / 2)
	s.shell("date -s @$(( $(date +%%s) + %d ))", day)
	refused += s.churn(count - count/2)
	took := time.Since(begun)
	s.shell("date -s @$(( $(date +%%s) - %d ))", day)
	after := s.usage()
	t.Logf("%d pods, %d of them refused as they must be, in %s\nbefore %+v\nafter  %+v", count, refused, took.Round(time.Second), before, after)
	if err := after.grownFrom(before); err != nil {
		t.Error(err)
	}
	s.stayedConnected(defaultPatience)
	s.tell(tally{rows: "34,36", injected: count})
}

// churn runs pods, and answers how many were refused as they had to be.
func (s *subject) churn(count int) int {
	s.T.Helper()
	var all sync.WaitGroup
	var next, refused atomic.Int64
	for range soakWorkers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < count && !s.T.Failed(); i = int(next.Add(1)) - 1 {
				wants := soakPods[i%len(soakPods)]
				if strings.Contains(wants, "%") {
					wants = fmt.Sprintf(wants, i%256)
				}
				err := s.live(fmt.Sprint("soak", i), wants)
				if wants == soakPods[len(soakPods)-1] && err != nil && strings.Contains(err.Error(), `network "no-such-network"`) {
					refused.Add(1)
				} else if err != nil {
					s.T.Errorf("pod %d, %s: %v", i, wants, err)
				}
			}
		})
	}
	all.Wait()
	if s.T.Failed() {
		s.T.FailNow()
	}
	if _, err := s.AllFree(s.ctx()); err != nil {
		s.T.Fatal(err)
	}
	return int(refused.Load())
}

// live is the life of one pod: its container must have what it asks for.
func (s *subject) live(name, wants string) (err error) {
	ctx := s.T.Context()
	sandbox, err := s.cri.RunPod(ctx, lab.Pod{
		Name: name, Namespace: "prod", UID: fmt.Sprintf("%s-%d", name, podNumber.Add(1)),
		Annotations: map[string]string{"sriov.nri.io/networks": wants},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.cri.StopPod(s.ctx(), sandbox), s.cri.RemovePod(s.ctx(), sandbox)) }()
	container, err := s.tryContainer(sandbox, "app")
	if err != nil {
		return err
	}
	output, err := s.cri.Exec(ctx, container, "cat", "/run/nri-sriov/networks.json")
	if err == nil && !strings.Contains(output.Stdout, `"interface":"net1"`) && !strings.Contains(output.Stdout, `"interface": "net1"`) {
		err = fmt.Errorf("networks.json: %s", output.Stdout)
	}
	return err
}

// usage is what a daemon holds.
type usage struct {
	Descriptors, NetlinkSockets, Goroutines, Threads int
	// KiB is the resident memory, Namespaces the network namespaces of the guest.
	KiB, Namespaces int
}

var goroutinesLine = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)

// usage reads it when the daemon is idle.
func (s *subject) usage() usage {
	s.T.Helper()
	time.Sleep(3 * time.Second) // announcements and readings of the node end
	pid := s.Daemon.Process().PID()
	number := func(script string) int {
		s.T.Helper()
		n, err := strconv.Atoi(s.shell("%s", script))
		s.must(err)
		return n
	}
	u := usage{
		Descriptors:    number(fmt.Sprintf("ls /proc/%d/fd | wc -l", pid)),
		NetlinkSockets: number(fmt.Sprintf(`ls -l /proc/%d/fd | grep -o 'socket:\[[0-9]*' | cut -d'[' -f2 | while read i; do awk -v i=$i '$10 == i' /proc/net/netlink; done | wc -l`, pid)),
		Threads:        number(fmt.Sprintf("ls /proc/%d/task | wc -l", pid)),
		KiB:            number(fmt.Sprintf("awk '/^VmRSS/ {print $2}' /proc/%d/status", pid)),
		Namespaces:     number("for n in /proc/[0-9]*/ns/net; do readlink $n || true; done 2>/dev/null | sort -u | wc -l"),
	}
	match := goroutinesLine.FindStringSubmatch(s.shell("busybox wget -q -T 5 -O - http://127.0.0.1:9808/metrics"))
	if match == nil {
		s.T.Fatal("the metrics do not tell of goroutines")
	}
	u.Goroutines = number("echo " + match[1])
	return u
}

// grownFrom says in what a daemon has grown beyond what the moment explains.
func (u usage) grownFrom(before usage) error {
	var errs []error
	for _, c := range []struct {
		what           string
		before, after  int
		slack, percent int
	}{
		{"file descriptors", before.Descriptors, u.Descriptors, 3, 0},
		{"netlink sockets", before.NetlinkSockets, u.NetlinkSockets, 0, 0},
		{"goroutines", before.Goroutines, u.Goroutines, 5, 0},
		{"threads", before.Threads, u.Threads, 8, 0},
		{"resident memory in KiB", before.KiB, u.KiB, 6 << 10, 10},
		{"network namespaces in the guest", before.Namespaces, u.Namespaces, 0, 0},
	} {
		if limit := c.before + c.slack + c.before*c.percent/100; c.after > limit {
			errs = append(errs, fmt.Errorf("%s: %d, and %d before", c.what, c.after, c.before))
		}
	}
	return errors.Join(errs...)
}

func TestGrown(t *testing.T) {
	before := usage{20, 3, 30, 12, 40 << 10, 1}
	if err := before.grownFrom(before); err != nil {
		t.Error(err)
	}
	for _, after := range []usage{{30, 3, 30, 12, 40 << 10, 1}, {20, 4, 30, 12, 40 << 10, 1}, {20, 3, 60, 12, 40 << 10, 1}, {20, 3, 30, 12, 60 << 10, 1}, {20, 3, 30, 12, 40 << 10, 2}} {
		if err := after.grownFrom(before); err == nil {
			t.Errorf("%+v has not grown", after)
		}
	}
}
