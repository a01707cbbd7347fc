// Package order is the only maker of Orders, and nothing in the box sounds
// without one.
//
// A Desk checks in this box, without a network, a disk or a trusted clock,
// that who asks may ask it: the source with the kind, the level and the
// outputs; that a drill or a test is told apart from the real thing by all that
// is heard of it; how often; and for how long. What it grants is an Order whose
// fields nobody can write. What it refuses it explains.
//
// It never waits for the journal: each decision is offered to a func that must
// not block. It never limits how often something is silenced, it never ends a
// level that stands, and what a source asks at a low level never uses up what
// it may ask at a higher one.
//
// Signatures and replay are checked before, by whoever verifies an alert or a
// command; the Desk takes their word for the Source.
//
// Sources: design "What never gives way" 3; reserved patterns
// and who may say what: domain/warning.md 3.1 and 3.1a.
package order
