// Package lab is a machine with SR-IOV that needs no hardware: a guest under
// QEMU's software emulation with igb NICs (7 VFs each), an IOMMU, and a real
// containerd. Prepare makes everything it consists of, once, from Debian
// packages and Go modules; Boot starts a guest; Guest runs programs in it;
// Containerd and CRI drive a runtime there. Start does all of that for a test.
//
// A test package runs it with NRI_SRIOV_LAB=1. Other settings:
// NRI_SRIOV_LAB_LOGS (folder for the logs of failed tests),
// NRI_SRIOV_LAB_MIRROR (a Debian archive other than the host's own),
// NRI_SRIOV_LAB_QEMU (a QEMU other than the one that Prepare fetches) and
// NRI_SRIOV_LAB_CONTAINERD (a version of containerd other than the pinned one).
//
// It owns the host's side: processes, files in the cache, the wire to the
// agent (package guest). It imports nothing of pkg: tests hand it the built
// binary as a file.
package lab
