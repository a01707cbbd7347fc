// Package beidou is a BeiDou short message terminal on a serial port: a
// drivers.Terminal. It speaks the sentences of BeiDou-2 (RDSS protocol 2.1) and of
// BeiDou-3 (RSMC); which sentence has which field where, how content is coded,
// how many bits a card's level allows and what a refusal means are a Profile, a
// file of configs/terminals, since makers differ.
//
// The card in the terminal says how often and how much may be sent. It is read
// after every opening and again every ten minutes, and nothing is sent before.
// One message is with the terminal at a time; a refusal for being early becomes
// FaultEarly with the moment at which it will be taken. Y means only that the
// terminal radiated: the network tells nobody whether a message arrived, and
// loses 4 in 1,000 at best.
//
// It transmits only where Opts.Transmit is set and the terminal's approval and
// its registered card are entered, and only with that card in it: a BeiDou card is
// registered to somebody, and terminals need a type approval. All others receive.
//
// Noise between sentences is passed over; a sentence counts only with a right
// checksum. Numbers of cards are compared as numbers, fields that are missing at
// the end are taken for empty.
//
// Sources: the vectors in the proof: parts of configs/terminals, all of which are
// published and run as tests; the standards (GB/T 44086.1-2024, BD 420012) had not
// been read when this was written.
package beidou
