// Package history keeps what was measured: telemetry, in a file of its own.
//
// It never holds anybody up: a reading is offered, taken into RAM or counted as
// lost. It decides nothing, and no alarm needs it; with the disk dead it goes on
// in RAM as far as its bound allows and says so.
//
// # How it spares the flash
//
// What wears a card is the number of pages that are written again, not the bytes
// of the values. So readings are gathered in RAM for Opts.Every and written as one
// batch: a blob for each point with times and values as differences, a value
// only where it moved by the point's resolution or its quality changed. The key
// is time-first (batch, point) WITHOUT ROWID, so that a batch fills pages at the
// end and touches none before them; WAL with synchronous NORMAL. A process that
// is killed loses what was gathered since the last batch, at most; a power cut
// also what the kernel had not written back yet, and neither harms the file
// (sqlite.org/wal.html, "Performance considerations").
//
// # How gaps stay gaps
//
// Every blob begins with the first reading of its point in that batch and ends
// with when the point was last heard, so a value is known to have held only as
// long as readings said so. Where a point was silent for longer than its own
// limit, a row says so, with the reason: the box was off, the point said nothing,
// what was kept is damaged. A bad quality is kept whenever it changes.
//
// # Clocks
//
// Within a batch times are on the monotonic clock; the batch has the wall clock
// of its beginning and how far that was to be believed. Where the wall clock
// jumps or the boot changes a new batch begins, so a jump never bends an interval;
// where it was set back, rows overlap and both are given. What goes for its age
// goes slowly, so that a clock that is wrong for an hour does not empty the file.
//
// Hourly roll-ups (min, max, mean over time, time covered by good values) are
// made from the file itself and kept longer than the values.
package history
