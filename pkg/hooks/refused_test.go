package hooks_test

import (
	"fmt"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
)

// TestReasonOfAnUnansweredQuestion: a kubelet that does not answer is waited for; nothing was tried that could have failed.
func TestReasonOfAnUnansweredQuestion(t *testing.T) {
	if reason := hooks.ReasonOfAttach(fmt.Errorf("%w: no answer within 2 s", attach.ErrUnanswered)); reason != hooks.NotReady {
		t.Errorf("it is %s", reason)
	}
}

// TestReasonsAfterTheKubeletsAnswer: what is refused only once the kubelet has answered is refused for the same reasons as
// what the hook itself refuses, and by none as an attach that failed.
func TestReasonsAfterTheKubeletsAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		networks string
		resource string
		given    []int
		taken    bool
		want     hooks.Reason
	}{
		"AnotherNumber":    {networks: "a, a", resource: resA, given: []int{0}, want: hooks.InvalidRequest},
		"NothingGiven":     {networks: "b", want: hooks.InvalidRequest},
		"AnothersNetwork":  {resource: "sriov.nri.io/team", given: []int{0}, want: hooks.NotAllowed},
		"EverythingIsUsed": {networks: "a", taken: true, want: hooks.NoFreeVF},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := newCluster(t, 1)
			refusals := cluster.refusals()
			if c.taken {
				cluster.gets(t, named("first", "a"), container("app", nil))
			}
			var annotations map[string]string
			if c.given != nil {
				cluster.kubelet.Eventually("Healthy", func() string { return health(cluster.kubelet.Devices(c.resource)) })
				annotations = cluster.give("web", "app", c.resource, c.given...)
			}
			one := named("web", c.networks)
			if err := cluster.run(one); err != nil {
				t.Fatal(err)
			}
			if _, err := cluster.createContainer(one, container("app", annotations)); err == nil {
				t.Fatal("it is let through")
			}
			if told := refusals(); len(told) != 1 || told[0].Reason != c.want {
				t.Errorf("held back for %v", told)
			}
		})
	}
}
