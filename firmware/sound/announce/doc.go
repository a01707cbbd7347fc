// Package announce decides who speaks now.
//
// Requests are ranked by level, then kind (real before drill before test), then
// the source's rank, then age. What ranks higher takes its outputs from what
// ranks lower at once; what ranks lower comes back when they are free, or is
// dropped, as its kind says. The real thing ends every drill and test.
//
// A level that stands sounds in a duty cycle for as long as it stands; only a
// withdrawal, a replacement or an all-clear ends that. STOP silences what sounds
// now and no level: a higher level sounds at once, and one that nobody has
// acknowledged sounds again within its time, ten minutes at most.
//
// It never sounds anything itself: each turn needs an Order of the desk, which
// may refuse, and goes to the house of outputs. It never waits: not for the
// journal, not for the outputs, not for whoever asks.
//
// Source: design "An announcement".
package announce
