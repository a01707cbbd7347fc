// Package issue condenses the desk's warnings to the 78 bytes that narrow links carry, and
// signs them with the issuer's key.
//
// It takes the tables and the issuers that the hub's file names, which must be those of the
// stations, and reads what it made as a station would before it gives it away: what no
// station would believe is not sent. The words are a template of the tables that a person
// chose; what the short form cannot say exactly it says wider, and tells.
//
// Numbers never come twice: a number is on the disk, synced, before anything is signed
// with it, and a clock that stands before the last day on which something was signed is refused. The same
// document gives the same bytes again, so that sending twice warns once. An update or a
// cancel takes the chain of what it refers to; where that was never condensed it cannot be.
//
// Beside them it signs officers' orders to activate software (order.go).
//
// The key is the caller's: it is used for what is signed now and kept nowhere.
package issue
