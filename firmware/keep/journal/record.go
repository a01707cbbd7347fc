package journal

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// Record is one thing that happened.
type Record struct {
	// Seq numbers durable records, strictly increasing; 0 until it is durable.
	// Whatever a caller sets here is ignored.
	Seq int64 `json:"seq"`
	// Kind is what happened: alarm.raised, alarm.escalated, sounding.started,
	// receipt, operator.stop, fault, … Its first word decides how long it is kept
	// where the queue overflows; see WeightOf.
	Kind string `json:"kind"`
	// Cause is the id that runs from crossing to receipt.
	Cause string `json:"cause,omitempty"`
	// Who acted, and the way the act came (key, page, socket); empty for the box.
	Who string `json:"who,omitempty"`
	Via string `json:"via,omitempty"`
	// Message says it to people.
	Message phrase.Message `json:"message,omitzero"`
	// Body is the thing itself as JSON, at most MaxBody bytes.
	Body json.RawMessage `json:"body,omitempty"`
	// At is when it happened on all clocks; the zero Stamp is filled in by Append.
	At clock.Stamp `json:"at"`
}

// Batch is what commits as one or not at all.
type Batch struct {
	Records []Record
	// State sets named values; a nil value deletes the name.
	State map[string][]byte
	// Outbox sets letters by their ID; nil removes the letter.
	Outbox map[string]*Letter
}

// Bounds of one record and one value; what is longer is cut or replaced by a note
// that says so.
const (
	MaxBody  = 64 << 10
	MaxText  = 1 << 10
	MaxValue = 4 << 20
)

// Weight says what goes first where there is no room: Low first.
type Weight uint8

// The weights.
const (
	Low Weight = iota
	Middle
	High
	weights = iota
)

// lowWords and highWords are the first words of kinds that are not Middle.
var (
	lowWords = map[string]bool{
		"reading": true, "telemetry": true, "sample": true, "history": true,
		"link": true, "trace": true, "debug": true, "metric": true,
	}
	highWords = map[string]bool{
		"alarm": true, "alert": true, "sounding": true, "receipt": true,
		"operator": true, "order": true, "plan": true, "journal": true,
	}
)

// WeightOf is the weight of a kind unless Opts.Weight says otherwise.
func WeightOf(kind string) Weight {
	word := kind
	for i := range kind {
		if kind[i] == '.' {
			word = kind[:i]
			break
		}
	}
	switch {
	case highWords[word]:
		return High
	case lowWords[word]:
		return Low
	}
	return Middle
}

// size estimates the bytes that a record holds in RAM.
func (r *Record) size() int {
	return 160 + len(r.Kind) + len(r.Cause) + len(r.Who) + len(r.Via) + len(r.Body) + 48*len(r.Message.Params)
}

// row is a record as the file holds it.
type row struct {
	seq                                 int64
	kind, cause, who, via, code, boot   string
	params, body                        []byte
	mono, wallSeconds, wallNanos, trust int64
	sum                                 int64
}

// pack makes the row of a record. It never fails: what cannot be written as it is
// is replaced by a note that says so.
func pack(r *Record) row {
	w := row{
		seq: r.Seq, kind: cut(r.Kind), cause: cut(r.Cause), who: cut(r.Who), via: cut(r.Via),
		code: cut(r.Message.Code), boot: cut(r.At.Boot), body: r.Body,
		mono: int64(r.At.Mono), wallSeconds: r.At.Wall.Unix(), wallNanos: int64(r.At.Wall.Nanosecond()),
		trust: int64(r.At.Trust),
	}
	if len(r.Message.Params) > 0 {
		w.params, _ = json.Marshal(freeze(r.Message.Params, 0))
		if len(w.params) > MaxBody {
			w.params = nil
		}
	}
	switch {
	case len(w.body) > MaxBody:
		w.body = fmt.Appendf(nil, `{"omitted":"too long","bytes":%d}`, len(r.Body))
	case len(w.body) > 0 && !json.Valid(w.body):
		w.body, _ = json.Marshal(map[string]string{"text": string(w.body)})
	}
	w.sum = w.checksum()
	return w
}

// checksum covers all that the row says, so that a flipped bit that SQLite cannot
// see is not taken for a fact.
func (w *row) checksum() int64 {
	h := crc32.NewIEEE()
	fmt.Fprintf(h, "%d %d %d %d %d", w.seq, w.mono, w.wallSeconds, w.wallNanos, w.trust)
	for _, s := range []string{w.kind, w.cause, w.who, w.via, w.code, w.boot} {
		fmt.Fprintf(h, "|%d %s", len(s), s)
	}
	for _, b := range [][]byte{w.params, w.body} {
		fmt.Fprintf(h, "|%d ", len(b))
		h.Write(b)
	}
	return int64(h.Sum32())
}

// unpack gives the record of a row; false where the checksum does not hold.
func unpack(w *row) (Record, bool) {
	if w.sum != w.checksum() {
		return Record{}, false
	}
	r := Record{
		Seq: w.seq, Kind: w.kind, Cause: w.cause, Who: w.who, Via: w.via,
		Message: phrase.Message{Code: w.code, Params: thaw(w.params)},
		At: clock.Stamp{
			Mono: time.Duration(w.mono), Wall: time.Unix(w.wallSeconds, w.wallNanos),
			Boot: w.boot, Trust: clock.Trust(w.trust),
		},
	}
	if len(w.body) > 0 {
		r.Body = w.body
	}
	return r, true
}

func cut(s string) string {
	if len(s) > MaxText {
		s = s[:MaxText]
	}
	return s
}
