// Package failpoint lets tests kill the daemon between any two steps of its work. Step is called after each change that
// outlives the process: of the kernel's state and of files. In a program that was built without the tag failpoints it does
// nothing.
//
// With the tag, the variable NRI_SRIOV_FAILPOINT names a kind of step and a count, such as kernel:3: after the third step
// of that kind the process ends itself with SIGKILL. kernel:3:stall=10s has that step take ten seconds longer instead, as a
// driver or a disk may; each in the place of the number is every step. The file that NRI_SRIOV_FAILPOINT_ARM names must be
// there, so that a test chooses from when on is counted.
//
// It imports nothing of ours.
package failpoint

// The kinds of steps.
const (
	// Kernel is a change through sysfs or netlink.
	Kernel = "kernel"
	// Disk is a change of the daemon's files.
	Disk = "disk"
)
