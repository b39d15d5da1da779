// Package check looks at a node as an operator would, and says in one line each what is well, what is not, and what to
// do about it. It changes nothing.
package check
