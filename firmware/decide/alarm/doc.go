// Package alarm keeps the life of each alarm: raised, escalated, eased,
// subsided, acknowledged, released.
//
// An alarm begins with the first level above calm of its hazard and keeps one id
// (its cause, which every order, receipt and journal record carries) until a
// named person releases it. Measurements alone never release: when they fall
// below their clearing thresholds the alarm has subsided, its sounding ends, and
// it waits for 解除 by a named person. When they rise again before that, it is
// the same alarm.
//
// A signed warning or command raises an alarm of its own, one from its first message
// to its last update. It stands as long as it is in force, whatever a person here
// says (who may silence it and take it in hand); when it ends by its own time it has
// subsided and waits for a named person; the sender's signed cancel releases it.
//
// A change of the configuration lowers no level: while one stands whose measuring is
// changed, it is kept until what measures now rises above it, or measures none and a named
// person gives the all-clear.
//
// Blindness is told beside the level and never changes it.
//
// After a power cut Restore brings the alarms back under the same ids. The
// package waits for nothing; time comes in with what it is told.
package alarm
