// Package journal keeps one record per sandbox on disk: what was intended before the kernel was touched, and what was
// reached. A record is replaced atomically, and it is of one boot: after a reboot nothing of it is true any more.
//
// There is no fsync. The records describe state that dies with the kernel; what survives kill -9 is the page cache,
// and what a power cut leaves behind is told by the boot id or set aside as broken.
//
// # When the disk fails
//
// Opening fails for no disk: a folder that cannot be made is made at the first write that can. Put says what is the matter
// and what mends it, so that nothing is begun that was not written down. A Put or Delete that fails while an older record
// lies there is owed: it is done before anything else is put, so that no record of an earlier owner outlives the next one's.
// Trouble is what the last write or probe met, nil when the disk took it.
//
// A record that cannot be read is renamed to <sandbox>.json.broken, .broken.2, … and stands in nobody's way; where it
// cannot be renamed it stays where it is, and is passed over.
//
// # Versions
//
// Version counts the forms of a record, envelope and content. The rule:
//   - Whoever changes what a field means, drops one or adds one that a reader must not pass over raises Version, and adds
//     the step from the version before to the reader of the content (pkg/attach/versions.go), with a file as the older
//     program wrote it (pkg/attach/testdata/journal).
//   - A record of an earlier version is read, through those steps, and written in today's form when it is next put.
//   - A record of a later version is left where it is, untouched, and reported: Put and Delete of its sandbox are refused.
//     Start the later program again, or remove the file when its pod is gone.
//
// The package knows nothing of what a record means, and imports nothing of the project but pkg/failpoint.
package journal
