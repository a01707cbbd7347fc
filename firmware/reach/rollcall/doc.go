// Package rollcall decides whom the box writes to and calls when a level stands, in
// which order, how often, and what may be said of it afterwards: the 叫应 of the
// county's plan, by which a warning counts once a named person has answered it.
//
// # What it promises
//
// Everybody listed for the hazard is written to once for each level, the level's own
// words. Those listed for calls are called in the order of the list, one at a time,
// until each has pressed the key that confirms, or was tried as often as the table
// says; whoever was not reached is followed by the deputies, one after the other. All
// of it ends within a time. A higher level than any before begins anew for everybody; a level
// that comes back calls nobody a second time who confirmed it lately, and nobody more often
// than the table says, however often a gauge swings. The all-clear is
// written to those who were written to before.
//
// A call is never more than what is known of it: dialled, rang, answered as the modem
// says, heard to the end, confirmed by a key. Only the key proves a person. What was
// under way when the power went is told as not known, and counts as a try; who had
// confirmed is not called again.
//
// # Parts
//
// Machine is a state machine over virtual time: no clock, no goroutine, no disk, no
// modem. Whoever runs it takes one Task at a time from Next, keeps Snapshot before it
// does it, and tells Done. Numbers, times and levels are data: configs/rollcall.yaml.
//
// It raises nothing, sounds nothing, words nothing, and never reads what people
// write back: an alarm is begun, changed and ended by whoever tells it so, and a message
// from a telephone is nobody's command.
package rollcall
