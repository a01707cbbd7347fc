// Package alert turns what others send into one canonical Alert and says of it
// what can be said from the text alone: is it well-formed, is it genuine, is it
// trusted, does it concern this place, and what may this box do about it.
//
// It never sounds anything, keeps nothing, and asks no clock: whether an alert
// is in force is the book's matter (decide/alert/book). It believes no signature
// that it has not verified over the very bytes that it then parses, and it never
// takes an area that it cannot read for one that is elsewhere without saying so.
//
// # The four questions
//
// Well-formed, genuine, trusted, in force: Opened answers the first three, in this
// order, and each Finding says which of them it is about, where, why, and whether
// it decides. Refusing a genuine warning is nearly as bad as believing a forged one,
// so what breaks a rule but has one safe reading is read so and told; what breaks the
// schema, or leaves open what the sender means, is fatal. Status, area and action
// are reported beside them.
//
// # What is data
//
// configs/alerts: profiles.yaml (whose rules an alert follows, and which single
// findings weigh otherwise there), events.yaml (codes, words and colours),
// actions.yaml (what is done), areas.yaml (which codes name places; what to do where an
// alert does not say where). A county replaces them.
//
// # Where other formats plug in
//
// Alert is what every format becomes. A reader of another one (an EBD tar with its EBM and
// signature file, GY/T 384 and 385; the compact form that comes by radio) makes the
// Alert and the Findings of its own form, verifies its own signature by
// trust.Verify and Store.Vouch, and hands both to Reader.Settle, which asks of
// place and action as it does here and gives the same Opened. Everything after that (book, plan, desk) knows
// no format. What it must map: its message id and sender to Identifier and Sender; its
// play and cancel to MsgType Alert and Cancel, with References to the id that a cancel names; its severity 1–4 to Colour
// (not to Severity), 21–23 to the status Exercise, 15 to Test; its 12-digit area codes to Geocodes.
//
// Sources: CAP-v1.2-os (OASIS, 2010) sections 3.2 and 3.3; GB/T 35965.1-2018 by its
// published value rules; google/cap-library for the rules beyond the schema; IPAWS
// profile 1.0, CAP-CP 0.4A, CAP-AU 1.0.
package alert
