// Package book keeps the life of every alert: which ones are known, which are in
// force, which have ended and why, over duplicates, disorder, a clock that is not
// trusted, and power cuts.
//
// It never sounds anything and believes nothing by itself: what is well-formed,
// genuine and trusted was found out before (decide/alert), and only what is all
// three can be in force. One goroutine uses it; time comes in with each call.
//
// # The model
//
// A message is known by its full triple: sender, identifier and the instant of
// sent. The book holds the set of messages that it took, and the state of each
// follows from that set and from the time, not from the order in which they came:
//
//	acts     a verified Update or Cancel acts on what it names, from its own sent
//	         on, if it was sent after it (same second: Alert < Update < Cancel,
//	         then by identifier), has the same status (an Exercise ends nothing
//	         that is Actual), and comes of the same issuer (or one that may end
//	         that issuer's alerts). It goes on acting when it has itself ended.
//	ends at  the sent of the earliest message that acts on it, or its expires,
//	         whichever is earlier. A missing expires is the site's own bound after
//	         sent; a later one than the site's longest is cut to it.
//	starts   the later of sent and effective. An Update that was sent while what
//	         it names was running starts at its own sent, whatever effective says:
//	         no gap is left in a warning that stands. onset is when the event
//	         comes, not the warning, and is not waited for.
//
// The states, and what moves a message from one to another:
//
//	state \ event | its time starts | an Update acts | a Cancel acts | its time ends | power cut
//	(unknown)     | in_force        | superseded     | cancelled     | expired       | unknown
//	waiting       | in_force        | superseded     | cancelled     | expired       | as kept
//	in_force      | ·               | superseded     | cancelled     | expired       | as kept
//	superseded    | ·               | ·              | by time *     | ·             | as kept
//	cancelled     | ·               | by time *      | ·             | ·             | as kept
//	expired       | ·               | by time *      | by time *     | ·             | as kept
//	held          | ·               | ·              | ·             | shown until room is needed | as kept
//	noted         | a Cancel, Ack or Error: no warning by itself, kept so that it is known
//
//	* The record is put right where an earlier end is learned of later: what ran out
//	  here at ten, and was cancelled at ten to, was cancelled. Nothing sounds or
//	  stops by that.
//
// The clock. With a trusted clock nothing begins before its time (but for a small
// tolerance of sent) and nothing outlasts it. What claims to be sent further ahead
// than the tolerance waits; further than Ahead is refused and not remembered. With an
// untrusted clock only what is certain counts: an end before the floor, or an
// age by the monotonic clock that is longer than the whole life from sent to expires.
// All else that is unseen begins at once and is marked.
//
// # What always holds
//
//  1. Nothing is in force that was not well-formed, genuine and trusted.
//  2. What was cancelled or superseded before it began here never begins.
//  3. No message begins twice, and what has ended never sounds again, however often
//     and over however many ways it comes; a cut loses at most what was not committed.
//  4. Only the issuer of a message, or one that may, ends it; an unverified message
//     changes nothing but the list of what is held.
//  5. The same triple with other content is refused and told; the first stands.
//  6. For the same set of messages and the same instant of a trusted clock the states
//     are the same, whatever the order, but for what had already begun or ended.
//  7. Cancelled, superseded and expired are told apart; the message's own expiry
//     and the time it was lifted are both kept.
//  8. An untrusted clock never drops an unseen message that did not expire before
//     the floor.
//  9. In one chain at most one message that concerns this place is in force.
//  10. Entries and bytes are bounded. What has ended is forgotten only when the floor
//     has passed everything that it could still speak about, unless there is no room:
//     then words go first, then the record that ends soonest, and that is counted. What is
//     in force gives way only to what ranks higher.
//
// Package book/walk holds the book to this by random walks against a second,
// plainly written model.
//
// Sources: OASIS CAP-v1.2-os sections 3.2.1 (msgType, references) and 3.2.2
// (effective, onset, expires); CAP-CP rule 12 and IPAWS on references.
package book
