// Package candidate answers `nri-sriov candidates`: it turns a pod's annotation into a placement question, the node's
// inventory into a placement tree, and asks. It decides nothing that a claim decides: a claim is pkg/inventory's.
//
// It reads no kernel and no disk; the caller brings config and inventory.
package candidate
