// Package intake is the one queue before the verifier: whatever comes over any way
// (the page's interface, a feed, a folder, a stick, a radio) waits here until it is its
// turn to be verified.
//
// Nothing in it is verified yet, so the order is by what can be known cheaply: the
// level that a message claims, then how its way behaved so far, then the way's rank,
// then age. What claims the highest level is never dropped once it is in, and nothing
// of a lower level overtakes it. What cannot be told is taken for the highest.
//
// It is bounded by entries and bytes, as a whole and for each way, so that no way can
// fill it for the others. A full queue is told to whoever brings something, with how
// long to wait, and never hidden: each caller waits for the answer to its own message
// and keeps it until then (an interface answers 503 with Retry-After, a folder leaves
// its file). A message of a lower level may have to leave for a higher one; its
// caller is told the same.
//
// A claim costs nothing, so a way whose claims turn out false is held to a rate: after
// a few it may bring only so many a second until it has brought something true. Its
// messages wait longer and are not lost; those of the other ways do not wait for them.
package intake
