// Package pulse counts the closings of contacts on the board's pins: the reed
// contact of a tipping bucket. Each contact is a drivers.Values with the channel
// "count", which never goes back while its file lives.
//
// A count is given only after it was kept, so that a restart or a power cut cannot
// take back what a rule has seen. A closing during a restart is found where the
// contact was open when it was last kept and is closed when the box is back; a
// whole closing and opening while nothing ran leaves no trace on a plain pin and is
// lost: who cannot bear that uses a counting module. With a disk that takes nothing
// counting goes on in memory.
//
// A closing that follows the last one faster than the bucket can tip, and closings
// of several contacts in one instant, are a surge in the cables: they are not
// counted, and the next measurements are in doubt.
package pulse
