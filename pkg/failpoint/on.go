//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Step tells that a step of a kind was done, after which the process may be killed.
func Step(kind string) {
	plan := load()
	if plan.kind != kind && plan.kind != "any" {
		return
	}
	if _, err := os.Stat(plan.arm); plan.arm != "" && err != nil {
		return
	}
	mutex.Lock()
	defer mutex.Unlock()
	if count++; count == plan.at {
		fmt.Fprintf(os.Stderr, "failpoint: killed after step %d of kind %s\n", count, plan.kind)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal has come
	}
}

var (
	mutex sync.Mutex
	count int
)

type plan struct {
	kind string
	at   int
	arm  string
}

var load = sync.OnceValue(func() plan {
	kind, number, _ := strings.Cut(os.Getenv("NRI_SRIOV_FAILPOINT"), ":")
	at, err := strconv.Atoi(number)
	if err != nil {
		return plan{}
	}
	return plan{kind: kind, at: at, arm: os.Getenv("NRI_SRIOV_FAILPOINT_ARM")}
})
