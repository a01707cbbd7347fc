package command

import (
	"crypto/sha256"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

// PayloadType is the envelope's type of version 1.
const PayloadType = "application/vnd.tocsin.command.v1+json"

// Version of the payload. A version that this box does not know is refused.
const Version = 1

// Scope is what a command is about; an issuer's grant names scopes.
type Scope string

// The scopes.
const (
	// Sound makes the real thing sound.
	Sound Scope = "sound"
	// Stop silences and changes no level; with a cause it lifts what an earlier
	// command raised, and is that command's all-clear.
	Stop Scope = "stop"
	// Drill sounds what is told apart from the real thing by ear.
	Drill Scope = "drill"
	// Volume sets how loud outputs are.
	Volume Scope = "volume"
	// Configuration offers a new configuration, by the digest of its document.
	Configuration Scope = "configuration"
	// Talk lets a person speak by the loudspeakers, for a while.
	Talk Scope = "talk"
	// Software has a release activated, by its number, or withdraws such an order.
	Software Scope = "software"
)

// Scopes lists them all.
var Scopes = []Scope{Sound, Stop, Drill, Volume, Configuration, Talk, Software}

// Payload is what is signed, field by field as written.
type Payload struct {
	Version int `json:"version"`
	// ID names the command: letters, digits, "-", "_", ".", at most 64.
	ID string `json:"id"`
	// Key is the key under which it is counted; it must have signed.
	Key trust.KeyID `json:"key"`
	// Group is the group of boxes, or one box's own name; the counter is the
	// key's for this group. Boxes narrows it.
	Group string   `json:"group"`
	Boxes []string `json:"boxes,omitempty"`
	// Counter only rises, from 1, in each group of each key.
	Counter uint64    `json:"counter"`
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires"`
	Scope   Scope     `json:"scope"`
	// Person is who gives it, for receipts and the journal.
	Person string `json:"person"`

	// Kind of a drill: drill (the default) or test. Of a talk: real (the default), drill or test.
	Kind   string `json:"kind,omitempty"`
	Level  string `json:"level,omitempty"`
	Hazard string `json:"hazard,omitempty"`
	// Outputs and Zones say where; for stop and volume none is all, for a
	// talk every loudspeaker.
	Outputs []string `json:"outputs,omitempty"`
	Zones   []string `json:"zones,omitempty"`
	// Seconds is how long at the longest; the box's own bound holds.
	Seconds int         `json:"seconds,omitempty"`
	Tone    string      `json:"tone,omitempty"`
	Clips   []string    `json:"clips,omitempty"`
	Text    phrase.Text `json:"text,omitzero"`
	// Volume in percent.
	Volume int `json:"volume,omitempty"`
	// Content is what does not travel along.
	Content *Content `json:"content,omitempty"`
	// Talk is with whom a talk is to be sealed.
	Talk *TalkWith `json:"talk,omitempty"`
	// Cause is the alarm of the command that a stop lifts; none silences all.
	Cause string `json:"cause,omitempty"`
	// Release is the number of the release to activate, at once or from NotBefore on until Expires;
	// none withdraws what was ordered before.
	Release   uint64    `json:"release,omitempty"`
	NotBefore time.Time `json:"not_before,omitzero"`
}

// Content names bytes by their digest.
type Content struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

// TalkWith is the talker's end of a talk (reach/talk).
type TalkWith struct {
	// Key is an X25519 public key of this order alone, in hexadecimal.
	Key string `json:"key"`
	// Codec is pcma or pcmu, FrameMS how long a frame is: 20, 30, 40 or 60.
	Codec   string `json:"codec"`
	FrameMS int    `json:"frame_ms"`
}

// Command is a payload that passed every check.
type Command struct {
	Payload
	// Digest is SHA-256 over the payload's bytes as they were signed.
	Digest [sha256.Size]byte
	Issuer *trust.Issuer
	// Signers are the keys of the issuer that signed, the counted one first.
	Signers []trust.KeyID
	// Marked says that it passed without a trusted clock.
	Marked bool
}

// For is how long it is to sound at the longest.
func (c *Command) For() time.Duration { return time.Duration(c.Seconds) * time.Second }

// Stage is a check.
type Stage string

// The checks, in their order.
const (
	Bounds  Stage = "bounds"
	Form    Stage = "form"
	Genuine Stage = "genuine"
	Trust   Stage = "trust"
	Address Stage = "address"
	Granted Stage = "scope"
	Expiry  Stage = "expiry"
	Counter Stage = "counter"
)

// Refusal is the error of Open: which check, where, and why.
type Refusal struct {
	Stage Stage
	// Path is the field's: /payload/expires; "/" is the whole.
	Path string
	Err  *phrase.Error
	// ID is the command's name as it claims, once the form holds.
	ID string
}

// Error gives the reason in English.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap gives the reason.
func (r *Refusal) Unwrap() error { return r.Err }
