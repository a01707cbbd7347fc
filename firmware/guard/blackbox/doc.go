// Package blackbox keeps the last minutes before something went wrong: the log, what was
// measured, the frames on the lines, what happened. Memory first, in a ring of fixed size
// (Box); then a bounded region of the disk (Store), which a reset, a power cut or a crash
// leaves readable.
//
// It is fed by somebody who looks, not by the alarm path: Put takes a lock that is held for
// copies of memory alone, and what finds no room pushes the oldest out and is counted.
// Nothing here decides anything, and nothing waits for it.
//
// # What is lost
//
// The log and the values are written at intervals that spare the flash, everything at once
// when something happened (Pen). So a power cut without warning costs what came since the
// last interval, and all frames since the last event. A panic that is recovered, a fault, an
// alarm and a signal are events. A crash that takes the process down at once (a fault of the
// runtime, the kernel's killer) writes what the runtime itself says into a file beside
// (runtime/debug.SetCrashOutput), and costs what was in memory alone.
//
// # The region
//
// Two files, 0 and 1, of at most half the bound each; when one is full the other is begun
// anew. A file is a row of records, each whole or nothing:
//
//	2 bytes   B0 5B
//	1 byte    kind
//	2 bytes   length of the text, big endian, at most 4096
//	8 bytes   wall clock, ns since 1970, as far as it was known
//	8 bytes   ns since the boot
//	n bytes   text, UTF-8
//	4 bytes   CRC-32C (Castagnoli) of all from the kind on
//
// The first record of a file is its head ('H': "1" and the file's number, which grows); the
// first of a run of the program says which boot and version it is ('B'). A reader that finds
// no record looks for the next mark: a torn tail or a damaged block costs what it covers.
package blackbox
