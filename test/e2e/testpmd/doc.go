// Package testpmd runs DPDK's dpdk-testpmd in a container of the lab, as a user without any right, on the vfio devices
// that the container has, and reads its counters while it runs. The guest needs huge pages (lab.Options.HugePages, Pages
// for each testpmd), and the container a memlock limit of 64 MB or more.
//
// It owns the command line and the reading of what testpmd prints. Who binds the VF and gives it to the container is the
// test's affair. It imports nothing of pkg.
package testpmd
