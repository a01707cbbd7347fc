// Package acceptance is how a board is taken over: the same steps against a board on a
// desk, one on a pole and an emulated one, seen as anybody sees it who has its address and
// an account: its page's API, its loudspeaker's own receipts, its power switch.
//
//	reach · account · armed · clock · kept · faults · points · outputs · power · links ·
//	software · loud · restart · cut · release · sheet
//
// A step passes, fails and says why, or is left out and says why. What sounds (loud), takes
// the power away (cut) or replaces software (release) is done only where it is asked for.
// The last step is the sheet of the site's commissioning, as the box keeps it.
package acceptance
