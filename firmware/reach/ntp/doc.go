// Package ntp asks time servers. Several are asked one after the other; the time is what the greatest number of
// them can all be right about (their intervals overlap), and only where that is more than half of
// those that answered. It sets no clock: the time goes to whoever weighs sources.
//
// The question and the answer are github.com/beevik/ntp's: the origin of an answer must be the random
// number that was asked with, its stratum, leap indicator, distance and freshness are checked. Round
// trips are measured by the board's monotonic clock, so that a step of the kernel's is no error of a server.
//
// A server's kiss of death is obeyed: asked more slowly (RATE), or no more (DENY, RSTR).
//
// Sources: RFC 5905 sections 7.4 (kiss codes), 11.2.1 (selection), 14 (a client that asks now and then).
package ntp
