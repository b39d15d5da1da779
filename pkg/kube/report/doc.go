// Package report decides what the API server is told of what happens on the node: which Event, in which words, about what,
// and which entries of network-status. It turns what hooks and attach tell into tasks of the queue, and waits for nothing.
package report
