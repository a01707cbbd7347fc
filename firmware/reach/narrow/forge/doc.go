// Package forge tries false messages on each kind of link end, with genuine ones between
// them, and counts: how many false ones were taken for something, and how many genuine ones
// were not. It is for tests and figures.
//
// What it makes is what anybody on the air can make: copies of what was sent, at once and much
// later; what was sent, cut, longer, with bits changed, or with the parts of two; what other
// keys sealed, what the receiver sealed itself, what another sender sent; and noise with
// the right first bits. It tries false forms of a message before and after the message itself, so that one which
// only spoils the true one is found too.
//
//	narrow-up, narrow-down   narrow.End, with fragments, and hidden commands down
//	datagram                 reach/wire's sealed datagram
//	letter                   reach/letter's datagram
//	envelope                 reach/wire's sealed envelope; a copy is known by its name, as the hub's queue knows it
//	compact                  decide/alert/compact; a copy is known by its reference, as the book knows it
package forge
