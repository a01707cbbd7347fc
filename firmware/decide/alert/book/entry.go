package book

import (
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

// State is where a message stands in its life.
type State string

// The states; see the table in the package comment.
const (
	Waiting    State = "waiting"
	InForce    State = "in_force"
	Superseded State = "superseded"
	Cancelled  State = "cancelled"
	Expired    State = "expired"
	// Unverified is held: shown, never sounded.
	Unverified State = "held"
	// Noted is a Cancel, Ack or Error.
	Noted State = "noted"
	// Dropped and Rejected are never kept: they are the state of an Entry in
	// a Change that tells of what had to give way, or was not taken in.
	Dropped  State = "dropped"
	Rejected State = "refused"
)

// Over tells whether a message has ended.
func (s State) Over() bool { return s == Superseded || s == Cancelled || s == Expired }

// Entry is one message that the book knows. It holds what is needed to sound,
// show and end it, not the message itself.
type Entry struct {
	// ID is a short name of the triple, the same on every box.
	ID  string    `json:"id"`
	Ref alert.Ref `json:"ref"`
	// Chain is one name from the first alert to its last update: the cause that
	// its soundings carry.
	Chain   string      `json:"chain"`
	State   State       `json:"state"`
	MsgType string      `json:"msg_type"`
	Status  string      `json:"status"`
	Issuer  string      `json:"issuer,omitempty"`
	Key     trust.KeyID `json:"key,omitempty"`
	Digest  string      `json:"digest"`
	// Essence is over what the message says, so that a copy that was only
	// signed again is still a copy.
	Essence string `json:"essence"`
	// Twin is what the short form of it and the full one have in common; "" where there is
	// no other.
	Twin string `json:"twin,omitempty"`
	// Names lists the triples that it refers to, as their Keys.
	Names []string `json:"names,omitempty"`
	// Starts and Expires are as the book reads them; see the package comment.
	Starts  time.Time `json:"starts"`
	Expires time.Time `json:"expires,omitzero"`
	// Lifted is when an update or a cancel ended it, by that one's sent; By is
	// its ID.
	Lifted time.Time `json:"lifted,omitzero"`
	By     string    `json:"by,omitempty"`
	// Heard, Begun and Ended are this box's own instants.
	Heard clock.Stamp `json:"heard"`
	Begun clock.Stamp `json:"begun,omitzero"`
	Ended clock.Stamp `json:"ended,omitzero"`
	// RanOut says that its time was certain to be over, Acts that its sent was
	// reached: neither is ever taken back.
	RanOut bool `json:"ran_out,omitempty"`
	Acts   bool `json:"acts,omitempty"`
	// Marked says that it was taken while the clock was not trusted.
	Marked      bool           `json:"marked,omitempty"`
	Concerns    bool           `json:"concerns"`
	ConcernsWhy phrase.Message `json:"concerns_why,omitzero"`
	Action      alert.Action   `json:"action,omitzero"`
	// Ways says over which links it came and how often.
	Ways  []Way  `json:"ways,omitempty"`
	Texts []Text `json:"texts,omitempty"`
	// Note is the reason that a Cancel or an Error gives.
	Note string `json:"note,omitempty"`
	// Why holds the reasons of what is held.
	Why []phrase.Message `json:"why,omitempty"`
}

// Way is one link that a message came over.
type Way struct {
	Name  string      `json:"name"`
	Times int         `json:"times"`
	First clock.Stamp `json:"first"`
}

// Text is what one block of a message says, cut to what can be shown and spoken.
type Text struct {
	Language    string   `json:"language,omitempty"`
	Event       string   `json:"event,omitempty"`
	SenderName  string   `json:"sender_name,omitempty"`
	Headline    string   `json:"headline,omitempty"`
	Description string   `json:"description,omitempty"`
	Instruction string   `json:"instruction,omitempty"`
	Areas       []string `json:"areas,omitempty"`
}

// Sounds tells whether the entry may sound here now.
func (e *Entry) Sounds() bool {
	return e.State == InForce && e.Concerns && e.Action.Sound && e.Action.Kind != ""
}

// live is what a person here is told of as standing.
func (e *Entry) live() bool { return e.State == InForce && e.Concerns }

// warns tells a warning from a Cancel, Ack or Error.
func (e *Entry) warns() bool { return e.MsgType == "Alert" || e.MsgType == "Update" }

// Copies counts how often it came.
func (e Entry) Copies() int {
	n := 0
	for _, w := range e.Ways {
		n += w.Times
	}
	return n
}

// Kind is what happened to a message.
type Kind string

// The kinds of change.
const (
	// Began: it concerns this place and is in force from now on. Whether it may
	// sound is Entry.Sounds.
	Began Kind = "began"
	// Replaced: it began and took the place of others in its chain. Where it does
	// not sound (Entry.Sounds) what they sounded ends with them.
	Replaced Kind = "replaced"
	// Ended: it was in force here and is no longer; its State says why.
	Ended Kind = "ended"
	// Kept: it was taken in, or its record was put right; nothing begins or
	// ends here by that.
	Kept Kind = "kept"
	// Duplicate: it was known.
	Duplicate Kind = "duplicate"
	// Refused: it was not taken in.
	Refused Kind = "refused"
	// Held: it is not verified; it is shown and never sounded.
	Held Kind = "held"
)

// Change is one thing that happened by a message or by time.
type Change struct {
	Kind  Kind   `json:"kind"`
	Chain string `json:"chain,omitempty"`
	Entry Entry  `json:"entry"`
	// Before holds what was in force until Entry replaced it.
	Before  []Entry          `json:"before,omitempty"`
	Because []phrase.Message `json:"because,omitempty"`
	// Marked says that it was taken while the clock was not trusted.
	Marked bool `json:"marked,omitempty"`
}
