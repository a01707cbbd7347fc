package wire

import (
	"crypto/sha256"

	"tocsin/firmware/phrase"
)

// Stage is how far a warning got at a station. It only rises.
type Stage uint8

// The stages. Heard was measured by a microphone; Played was not, and does not claim to be.
const (
	Received  Stage = iota // it came and was not yet judged
	Verified               // genuine, trusted, in force
	Sounding               // outputs were told to sound, and took it
	Played                 // they finished; nobody measured it
	Heard                  // the box's own ear measured the sound
	Confirmed              // a person said so
	stages
)

// Why says why a stage is not a higher one. 0: nothing is wrong.
type Why uint8

// The reasons.
const (
	WhyNone      Why = iota
	WhyElsewhere     // it is not for this place
	WhyRefused       // not genuine or not trusted
	WhyEnded         // expired, cancelled or superseded before it began
	WhySilent        // shown only, by the box's table
	WhyOutputs       // the outputs failed
	WhyNotHeard      // the ear listened and did not hear it
	WhyUnkept        // done, but the disk is dead: after a power cut it may be done again
)

// Progress is a stage and why it stays there. Of two of one station the greater holds, whatever the order in which they come.
type Progress struct {
	Stage Stage
	Why   Why
}

// Join gives the greater: the higher stage, then the higher reason.
func (p Progress) Join(o Progress) Progress {
	if o.Stage > p.Stage || o.Stage == p.Stage && o.Why > p.Why {
		return o
	}
	return p
}

// About names the alert that receipts are about, in 39 bits.
type About struct {
	// Compact: Type, Issuer, Day (UTC days since 1970, its low ten bits) and Number are those of a compact warning: what it
	// is, the day on which its chain began (whoever takes an update knows that one), its fourteen bits. Else Digest is the
	// first 38 bits of SHA-256 over the alert's "sender,identifier,sent", its sent in UTC to the second.
	Compact bool
	Type    uint8
	Issuer  uint8
	Day     uint16
	Number  uint16
	Digest  uint64
}

// AboutCompact names a compact warning.
func AboutCompact(kind, issuer uint8, day int, number uint16) About {
	return About{Compact: true, Type: kind & 7, Issuer: issuer, Day: uint16(day) & 1023, Number: number & (1<<14 - 1)}
}

// AboutAlert names any alert by the key of its reference.
func AboutAlert(key string) About {
	sum := sha256.Sum256([]byte(key))
	return About{Digest: get48(sum[:]) >> 10}
}

// ReceiptOf is one station's progress. Station is its number in the county's table.
type ReceiptOf struct {
	Station  uint16
	Progress Progress
}

// ReceiptsMost is how many stations one packet speaks of.
const ReceiptsMost = 32

// ReceiptsFor tells how many stations' receipts fit into so many bytes.
func ReceiptsFor(bytes int) int { return max(0, min(ReceiptsMost, (bytes*8-44)/22)) }

// AppendReceipts adds a packet: 1 bit Compact, 38 of the name, 5 of the count less one, then 22 bits a station.
func AppendReceipts(b []byte, about About, all []ReceiptOf) ([]byte, error) {
	if len(all) == 0 || len(all) > ReceiptsMost {
		return nil, phrase.E("wire.receipts", "count", len(all), "most", ReceiptsMost)
	}
	w := &bitWriter{}
	if about.Compact {
		w.put(1, 1)
		w.put(uint64(about.Issuer), 8)
		w.put(uint64(about.Day), 10)
		w.put(uint64(about.Number), 14)
		w.put(uint64(about.Type), 3)
		w.put(0, 3)
	} else {
		w.put(0, 1)
		w.put(about.Digest, 38)
	}
	w.put(uint64(len(all)-1), 5)
	for _, r := range all {
		if r.Progress.Stage >= stages || r.Progress.Why > WhyUnkept {
			return nil, phrase.E("wire.receipts", "count", len(all), "most", ReceiptsMost)
		}
		w.put(uint64(r.Station), 16)
		w.put(uint64(r.Progress.Stage), 3)
		w.put(uint64(r.Progress.Why), 3)
	}
	return append(b, w.b...), nil
}

// ReadReceipts reads a packet.
func ReadReceipts(b []byte) (About, []ReceiptOf, error) {
	bad := func() (About, []ReceiptOf, error) {
		return About{}, nil, phrase.E("wire.receipts", "count", len(b), "most", ReceiptsMost)
	}
	r := &bitReader{b: b}
	var a About
	if a.Compact = r.bit() == 1; a.Compact {
		a.Issuer, a.Day, a.Number = uint8(r.take(8)), uint16(r.take(10)), uint16(r.take(14))
		a.Type = uint8(r.take(3))
		if r.take(3) != 0 {
			return bad()
		}
	} else {
		a.Digest = r.take(38)
	}
	n := int(r.take(5)) + 1
	if len(b) != (44+22*n+7)/8 {
		return bad()
	}
	all := make([]ReceiptOf, n)
	for i := range all {
		all[i] = ReceiptOf{uint16(r.take(16)), Progress{Stage(r.take(3)), Why(r.take(3))}}
		if all[i].Progress.Stage >= stages {
			return bad()
		}
	}
	if r.take(len(b)*8-r.n) != 0 { // what is left of the last byte
		return bad()
	}
	return a, all, nil
}
