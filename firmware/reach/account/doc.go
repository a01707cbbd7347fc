// Package account is what a station tells its county: its readings, how it stands, and how far a warning got. It
// makes and reads the bytes and decides what is said anew; the courier carries it. It is pure: no clock, no disk, no
// goroutine, and whatever must outlive a power cut is given out and taken back.
//
// # Readings
//
// A Dictionary names up to 32 channels and the step in which each is told. A Telemetry gathers a row of them each
// period into a segment, and gives the segment as it stands after each row: a whole block in which every value is
// exact. A later report of a segment takes the place of the one before, so that while the county hears, each
// period is one small message, and while it does not, an outage is a few segments of up to 128 rows. What is not good is missing,
// never zero and never the value before.
//
// Where there is a narrow link, a segment ends when one more row would not fit into one of its messages, or after an hour, and its last
// report has the same rows in a short form, which builds on what went before (reach/wire). Nothing is left out of
// it; only channels beyond the first few are not in it at all, which is said by their having another dictionary. When the whole of a segment was delivered before its short form, what
// hung on that is made anew, since the county may not have it to build on.
//
// A whole block is a key frame for a decoder of its own: its number is far from those of the short ones, so that a hub may as well
// use one for both.
//
// # How far a warning got
//
// Receipts knows what the county was told of each warning, and says what is news: a stage only rises.
//
// It never guesses a value, never says that something was heard that was not measured, and never tells what a person
// may not see.
package account
