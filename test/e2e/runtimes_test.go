package e2e

import (
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// TestOldRuntime is the core of the suite on the old containerd that is still in use, whichever one the rest runs on.
func TestOldRuntime(t *testing.T) {
	t.Parallel()
	onRuntime(t, "1.7.35", map[string]func(*subject){
		"TwoPodsPing": twoPodsPing, "Refusals": refusals, "Containers": containersSeeTheirOwn,
		"BetweenSandboxAndContainer": betweenSandboxAndContainer, "PodsRemovedWhileAway": podsRemovedWhileAway,
		"PodsStartedWhileAway": podsStartedWhileAway, "ContainerdRestarted": containerdRestarted, "ContainerUnanswered": containerUnanswered,
	})
}

// TestLeakingRuntime is what is another way on a containerd that leaks refused sandboxes. It is one of the long tests: a third
// containerd would have to be built on a machine without caches, for versions that have been mended since. The rule for which
// versions it is has a unit test in pkg/hooks.
func TestLeakingRuntime(t *testing.T) {
	if !long() {
		t.Skip("needs another containerd, which takes minutes to build: run `make test-lab LONG=1` (or set NRI_SRIOV_LAB_LONG=1)")
	}
	t.Parallel()
	onRuntime(t, "2.3.2", map[string]func(*subject){
		"TwoPodsPing": twoPodsPing, "Refusals": refusals, "AllVFsAtOnce": allVFsAtOnce, "RefusedLeaveNothing": refusedLeaveNothing,
	})
}

func onRuntime(t *testing.T, version string, tests map[string]func(*subject)) {
	t.Helper()
	all := boot(t, lab.Options{Containerd: version}).runtime(t, lab.ContainerdOptions{})
	if got := all.shell("containerd --version"); !strings.Contains(got, " "+version+"+") {
		t.Fatalf("the guest has %s, not %s", got, version)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := &subject{bench: all.bench, T: t}
			s.start()
			test(s)
		})
	}
}
