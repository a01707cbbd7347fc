// Package terms is what the box and its video process say to each other: the plan that
// the process is given, what it is asked, and what it tells. Both ends import it and
// nothing of each other, so that the box carries no media library: the process is a
// program of its own beside it (cmd/edged-video).
//
// All of it is JSON: the plan comes by a pipe, the rest by HTTP at a socket that only the
// box has (paths in firmware/video). Times are durations of the process's monotonic clock.
package terms
