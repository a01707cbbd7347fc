package talk

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"

	"tocsin/firmware/phrase"
)

// NewTalker makes the key of one order.
func NewTalker() (*ecdh.PrivateKey, error) { return ecdh.X25519().GenerateKey(rand.Reader) }

// Frame is what a box opened.
type Frame struct {
	Kind   Kind
	Number uint32
	// Voice is G.711, of KindVoice.
	Voice []byte
	// Last is the number of the last voice frame, of KindEnd.
	Last uint32
}

// Ear is a box's end of a session. One goroutine uses it.
type Ear struct {
	keys   *keys
	window window
	sent   uint32
}

// ID names the session on the way.
func (e *Ear) ID() [8]byte { return e.keys.id }

// Open opens a frame: ErrForeign, ErrAgain, or a *phrase.Error where the talker itself
// wrote it wrongly. bytes is how large a voice frame of the order is.
func (e *Ear) Open(b []byte, bytes int) (Frame, error) {
	kind, number, plain, err := e.keys.open(b)
	if err != nil || kind == KindReport {
		return Frame{}, ErrForeign
	}
	if !e.window.accept(number) {
		return Frame{}, ErrAgain
	}
	f := Frame{Kind: kind, Number: number}
	switch {
	case kind == KindVoice && len(plain) == bytes:
		f.Voice = plain
	case kind == KindEnd && len(plain) == 4:
		f.Last = binary.BigEndian.Uint32(plain)
	default:
		return Frame{}, phrase.E("talk.frame", "bytes", len(plain), "want", bytes)
	}
	return f, nil
}

// State is how a session stands, in a report.
type State string

// The states.
const (
	// Waiting: speak not yet, the box says something first or waits for its turn.
	Waiting State = "waiting"
	// Ready: speak now.
	Ready State = "ready"
	// Speaking: the voice sounds.
	Speaking State = "speaking"
	// Ended: it is over; Why says by what.
	Ended State = "ended"
)

// Report is what the box says of a session, every second and at each change.
type Report struct {
	State State `json:"state"`
	// Frames that came and were believed, that were played, that were put in where one
	// was missing, that came too late, and that were refused.
	Received  uint32 `json:"received"`
	Played    uint32 `json:"played"`
	Concealed uint32 `json:"concealed"`
	Late      uint32 `json:"late"`
	Refused   uint32 `json:"refused"`
	// BufferMS is what is held against jitter now.
	BufferMS int `json:"buffer_ms"`
	// Outputs are where it sounds; Measured those on which it was measured.
	Outputs  []string    `json:"outputs,omitempty"`
	Measured []string    `json:"measured,omitempty"`
	Why      phrase.Text `json:"why,omitzero"`
}

// Report seals a report. Too long a why is left out.
func (e *Ear) Report(r Report) ([]byte, error) {
	b, err := json.Marshal(r)
	if err == nil && len(b)+overhead > ReportMost {
		r.Why, r.Outputs, r.Measured = phrase.Text{}, nil, nil
		b, err = json.Marshal(r)
	}
	if err != nil {
		return nil, err
	}
	e.sent++
	return e.keys.seal(KindReport, e.sent, b), nil
}

// Mouth is a talker's end of a session. One goroutine uses it for Voice and End; Report
// may be another's.
type Mouth struct {
	keys   *keys
	sent   uint32
	window window
}

// ID names the session on the way.
func (m *Mouth) ID() [8]byte { return m.keys.id }

// numbersMost is where a session's numbers end: a day of the shortest frames.
const numbersMost = 24 * 3600 * 50

// Voice seals the next frame of the voice.
func (m *Mouth) Voice(g711 []byte) ([]byte, error) {
	if m.sent >= numbersMost || len(g711)+overhead > FrameMost {
		return nil, phrase.E("talk.frame", "bytes", len(g711), "want", FrameMost-overhead)
	}
	m.sent++
	return m.keys.seal(KindVoice, m.sent, g711), nil
}

// Skip leaves numbers out: time in which nothing was said.
func (m *Mouth) Skip(frames int) { m.sent = min(numbersMost, m.sent+uint32(max(0, frames))) }

// End seals that the talker has ended. It may be sealed again, where it may be lost.
func (m *Mouth) End() []byte {
	last := m.sent
	m.sent++
	return m.keys.seal(KindEnd, m.sent, binary.BigEndian.AppendUint32(nil, last))
}

// Report opens a box's report.
func (m *Mouth) Report(b []byte) (Report, error) {
	kind, number, plain, err := m.keys.open(b)
	if err != nil || kind != KindReport {
		return Report{}, ErrForeign
	}
	if !m.window.accept(number) {
		return Report{}, ErrAgain
	}
	d := json.NewDecoder(bytes.NewReader(plain))
	var r Report
	if err := d.Decode(&r); err != nil {
		return Report{}, phrase.E("talk.report")
	}
	return r, nil
}
