// Package hooks answers the runtime: one method per NRI event, the facts of a sandbox, the gate in CreateContainer and
// what a container is given. It decides and hands over; the kernel's work is pkg/attach's, off the hook.
//
// The runtime serialises all NRI calls of the node behind one lock, and a hook that passes the request timeout fails
// open: the plugin is cut off and the pod starts without its VF. So no hook waits, but for the gate, which has a budget.
package hooks
