// Package sbd is an Iridium short burst data modem (9602, 9603) on a serial port: a
// drivers.Terminal. A message of up to 340 bytes goes out and one of up to 270
// comes in by each session with the gateway.
//
// A message that the gateway did not take is tried again as the makers' guides
// have it, with random pauses, for as long as the caller's context allows; after
// "wait three minutes since the registration" no session is begun before. A session
// may bring a message even where it took none, so that both are always looked at. A
// ring, and every message that the gateway still holds, begins a session; since
// rings are lost, one is also begun every Opts.Every, which costs.
//
// Iridium needs a licence in China. It transmits, for which even receiving counts,
// since every session does, only where Opts.Transmit is set and the licence and
// the modem's number are entered.
//
// Sources: Iridium 9601 and 9523 product guides (AT command reference: +SBDWB,
// +SBDRB, +SBDIX and its result codes).
package sbd
