// Package attach owns the life of an attachment: from the claim through the work on its PF's worker to the result, and
// from the end of the sandbox through the reset back to a free VF. It keeps the journal, recovers after a restart, and
// holds VFs in quarantine that do not become clean.
//
// There is one way back for everything: an attach that fails, is called off or was cut short by kill -9 ends in the same
// release as a sandbox that ended. Each step of it finds out where the device is and does what is missing.
//
// The package knows no NRI types, and reaches sysfs and netlink through pkg/vf only.
package attach
