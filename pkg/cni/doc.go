// Package cni owns CNI results, in every version of the format that a network may ask for. It touches no kernel and
// no disk.
package cni
