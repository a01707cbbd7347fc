// Package shelf is the other end of a recorder's clips: it takes them by parts over HTTP,
// keeps what has arrived through a break or a power cut, and names the hash of the
// whole only once it has read it from its own disk and its owner has written down that it
// came. It is for the county's server and for tests; the protocol is told at
// recorder.HTTPSink.
//
// It never overwrites a clip that it has whole, takes no clip larger than it was told,
// and keeps stations apart by the folder that its owner names for a request.
//
// All clips together have a quota. Where a new one does not fit, room is made by whoever
// holds most, of that station the oldest alarm's first: a station that sends without end
// drives out its own. A clip that is older than all of its station's that would have to go is
// not wanted (410). What is older than the county keeps goes by itself; so do the parts of a
// clip of which nothing more came for a week. Every whole clip that went is told, with why.
//
// What a station says of a clip is a stranger's: it is bounded, and of it only what can be
// shown is kept.
package shelf
