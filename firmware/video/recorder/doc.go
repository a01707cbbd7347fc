// Package recorder keeps what a camera saw: a ring on flash, bounded in bytes, that a
// power cut at any instant leaves readable to within two seconds of the cut.
//
// The ring is a folder of segments, each a playable fragmented MP4 (ISO/IEC 14496-12
// 8.8): ftyp, moov and a label (whose it is, since when); then fragments of up to
// 600 ms (moof, mdat and a seal). Label, seal and end are free boxes, which players skip. A
// seal holds the length and the CRC-32C of its fragment, when that was by the box's
// monotonic clock, and UTC where the clock was trusted. A fragment is built in memory,
// written once and flushed at once. There is no index that could be wrong: after a cut
// the last segment is read from its head and ends behind its last good seal.
//
// Pictures arrive by their own clock and are kept by the box's monotonic one, which
// names the segments too (order, boot, time since boot): a wrong wall clock spoils
// nothing. Which boot is which hour is told by the seals, and by a small file once the
// clock is trusted (times.go).
//
// What is full, slow or dead is the disk, never the stream: Run takes units and gives
// fragments to the one goroutine that owns the files; what does not fit between them
// is lost by whole groups of pictures, counted and told. The oldest segment goes
// before a new one is opened, and a part of the file system stays free for others.
//
// An alarm pins a clip: hard links to the segments around it, under a quota of their
// own, then a list of byte ranges and their SHA-256 for the journal. A Forwarder
// sends clips when there is room on the links, the newest first, from where the
// other end says it has them, until that end names the same hash.
//
// A Film is what browsers play, a Tape the same as units again, for those who send it on
// in another container.
//
// The maker of boxes here is small and ours: one allocation a fragment, nothing by
// reflection, and the tests read it with another's reader (mediacommon) and ffprobe.
// Sources: ISO/IEC 14496-12 (boxes), 14496-15 (avcC, hvcC), RFC 7845 and the Opus
// encapsulation in ISOBMFF, QuickTime's alaw and ulaw, RFC 3720 B.4 (CRC-32C), RFC
// 9110 14.4 (Content-Range), RFC 9530 (Repr-Digest).
//
// Deleting unlinks every link that there is; what flash keeps of unlinked blocks until
// it erases them is beyond a program. Nothing is decoded.
package recorder
