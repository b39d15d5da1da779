// Package journal keeps one record per sandbox on disk: what was intended before the kernel was touched, and what was
// reached. A record is replaced atomically, and it is of one boot: after a reboot nothing of it is true any more.
//
// There is no fsync. The records describe state that dies with the kernel; what survives kill -9 is the page cache,
// and what a power cut leaves behind is told by the boot id or set aside as broken.
//
// The package knows nothing of what a record means, and imports nothing of the project.
package journal
