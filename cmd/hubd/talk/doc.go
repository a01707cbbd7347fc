// Package talk is the county's side of a voice that sounds at a station: the signed order,
// the sealed frames at the pace of speech, and what the box says back (reach/talk).
//
// Whoever holds the signing key speaks: an officer by the page, with a key of the hub's own that
// the stations trust for scope talk alone (talk: keys), or the desk's command with the keys at hand
// (hubd talk), in which case the hub carries what it cannot read. A station whose box key
// the hub's file does not name cannot be spoken to: nobody could tell who listens.
//
// Nothing is kept here. Who spoke where, when and why is the caller's to write down
// before it begins; what sounded is in the box's journal and in its report.
package talk
