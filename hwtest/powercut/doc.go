// Package powercut gives a directory whose power can be cut at any instant and
// which comes up again with what a disk would still have: everything that was
// written before the last flush that the disk has answered, and an adversary's
// choice of the rest. Later writes are kept, lost, reordered or torn between
// sectors of 512 bytes. Killing a process proves nothing of the kind: what it wrote stays in
// the kernel's cache.
//
// The directory is a real ext4 on a loop device whose backing file is served by
// this package over FUSE, so that every write and every flush (FSYNC, which the
// kernel's loop driver sends for REQ_OP_FLUSH and after REQ_FUA) passes through
// it. Loop has no flush of its own; see drivers/block/loop.c (lo_req_flush) and
// Documentation/block/writeback_cache_control.rst of Linux, and include/uapi/linux/fuse.h
// for the protocol.
//
// It needs root, /dev/fuse, a loop device, ext4 and mkfs.ext4; Available says what
// is missing. It does not model a disk that damages what it has already flushed,
// nor one whose sector of 512 bytes tears within. Lie makes a disk that
// answers flushes without obeying, to show that a test would notice.
//
// The process that owns the rig serves its own disk: it must not map files of the
// directory into its memory, since a page fault there could wait for itself.
package powercut
