//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// Step tells that a step of a kind was done, at which something may happen to the process.
func Step(kind string) {
	plan := load()
	if !plan.of(kind) {
		return
	}
	if _, err := os.Stat(plan.arm); plan.arm != "" && err != nil {
		return
	}
	if !plan.each && counted() != plan.at {
		return
	}
	if plan.stall > 0 {
		fmt.Fprintf(os.Stderr, "failpoint: stalled for %s after a step of kind %s\n", plan.stall, kind)
		time.Sleep(plan.stall)
		return
	}
	fmt.Fprintf(os.Stderr, "failpoint: killed after step %d of kind %s\n", plan.at, plan.kind)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until the signal has come
}

var (
	mutex sync.Mutex
	count int
)

func counted() int {
	mutex.Lock()
	defer mutex.Unlock()
	count++
	return count
}

// load reads the plan once. A text that makes no sense ends the process: a test must not pass because nothing happened.
var load = sync.OnceValue(func() plan {
	plan, err := parse(os.Getenv("NRI_SRIOV_FAILPOINT"))
	if err != nil {
		panic(err)
	}
	plan.arm = os.Getenv("NRI_SRIOV_FAILPOINT_ARM")
	return plan
})
