// Package logbook is what the county knows from its stations' letters: it opens their
// envelopes and joins what came by several links into one alarm, one table of how far
// each warning got, and each station's own account of how it does.
//
// It acts on nothing that the station's keys did not seal, that names another station
// or another message, or that holds what must be known and is not: that stays in the stream, is
// counted and shown as strange. Whether the box itself signed a document is shown beside it:
// it is held against the key that the hub's file pins, and without one it is not verified.
//
// The long form of a message has the id "<name>", its short form by a narrow gateway
// "<name>s"; both are one message, with each link and the time it came by. A stage of a
// warning only rises, whatever the order of its receipts.
//
// It keeps nothing on a disk. After a restart it reads the streams again, two weeks of
// receipts and alarms, three days of telemetry; all lists are bounded, the newest kept.
package logbook
