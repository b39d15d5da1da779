// Package cni owns what the Container Network Interface defines: results in every version of the format that a network
// may ask for, and IPAM plugins, which it runs and whose answers it checks. It touches no kernel object and writes
// nothing to disk; what a plugin does is the plugin's. It must not import anything that knows networks, pods or VFs.
//
// The format is that of https://www.cni.dev/docs/spec/, what goes beyond it that of https://www.cni.dev/docs/conventions/.
package cni
