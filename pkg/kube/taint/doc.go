// Package taint owns the taint sriov.nri.io/not-ready of the node, and touches no other.
package taint
