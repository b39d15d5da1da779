// Package faults makes the table of the fault matrix from the attributes of tests. A test that proves rows of the matrix says
// so with the attribute fault, and what it has counted with injected, without, lost, unclean and converge. It imports nothing
// of pkg.
package faults
