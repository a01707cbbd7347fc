// Package inbox takes alerts and orders that come as files: in a watched folder
// that another program or person of the county writes to, and on a USB stick
// that somebody carries up the mountain when every link is down.
//
// Two kinds of names are looked at: *.xml is an alert and *.dsse.json a signed
// order. Everything ends in the same verifier as what comes over a link; where
// a file lay says nothing about who wrote it.
//
// The folder is the box's to tidy: what was judged is moved to done/ or
// refused/ beside it, a refused file with its reason as text, and the oldest of
// those go when there are too many. What was not judged is never moved, changed
// or removed, and nothing is ever overwritten. The stick is not ours: nothing is
// written to it, and what was taken is remembered by its digest. It may go at any
// instant or hang the one that reads it; nothing else waits for that reader.
//
// It never opens what is not a plain file (a link, a folder, a pipe, a device),
// never reads a file that is still being written, never more of one than its
// bound, and never runs, unpacks or interprets anything. It mounts nothing: the
// system mounts the stick (read-only, nosuid, nodev, noexec) and names the place.
//
// Sources: open(2) O_NOFOLLOW, O_NONBLOCK and rename(2) of POSIX.1-2017 and of
// Linux (renameat2, RENAME_NOREPLACE); OASIS CAP-v1.2-os; DSSE v1 (envelope.md)
// for what an order's file holds.
package inbox
