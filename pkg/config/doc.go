// Package config reads what the node's admin says: which PFs are offered, and which networks pods may name.
//
// It owns the form of the file, its defaults and every check that needs the file alone. The types of the file (raw…)
// never leave the package: who holds a *Node holds a valid one. A setting that the file leaves away has its default
// there, so that nobody downstream asks whether it was set.
//
// Whether a PF exists, how many VFs it has, whether a trait is known, and whether an IPAM plugin is installed is not
// decided here. Of the project, the package imports pkg/vf for its types, pkg/cni for the name of a plugin, pkg/dpdk for
// the families of drivers, and pkg/strictyaml; it must not import anything that knows pods, hooks or allocation, and asks
// the kernel nothing.
package config
