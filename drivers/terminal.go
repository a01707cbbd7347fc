package drivers

import (
	"context"
	"time"
)

// Terminal is a device that carries short messages over the air: a BeiDou
// terminal, a node of a mesh, a satellite or telephone modem. One goroutine runs
// it; every other method may be called from any.
//
// It carries bytes and judges nothing: who wrote a message, whether it is new
// and what it means is for whoever takes it, since every network here loses,
// doubles and reorders, and anybody may send on it. What was sent is known to
// have arrived only by an answer that the far end wrote itself.
//
// A terminal transmits only where its owner entered what the law asks for: the
// licence, the registered card. Without that it receives.
type Terminal interface {
	// Run opens the port, keeps the terminal and opens the port again after it
	// was gone, until ctx ends, whose error it gives.
	Run(ctx context.Context) error
	// Send gives one message to the terminal and waits for what it says of it,
	// never longer than ctx. It never cuts a message and never sends one later by
	// itself. Errors are *Fault:
	//
	//	FaultEarly     the terminal or its network takes no message before Until
	//	FaultTooLong   more bytes than Limits allows
	//	FaultBarred    it may not or cannot transmit now; Limits().Bar says why
	//	FaultRefused   the terminal said no; Code is its own
	//	FaultCancelled ctx ended before the terminal had it
	//	FaultGone      the port is gone
	//	FaultTimeout   the terminal had it and said nothing: it may have gone out
	//
	// After all but the last it is certain that nothing was sent.
	Send(ctx context.Context, m Outgoing) (Sent, error)
	// Received gives what came in, oldest first. It holds a bounded number; what
	// came on top of it is dropped and counted in State. It is never closed.
	Received() <-chan Incoming
	// Limits says what may be sent now. It changes with the card and the signal.
	Limits() TerminalLimits
	// State is how it does, for a page and for metrics.
	State() TerminalState
	String() string
}

// Outgoing is a message to send: Bytes or Text, not both.
type Outgoing struct {
	// To is the addressee in the terminal's own way of writing it, as in
	// Incoming.From; empty with Broadcast.
	To        string
	Broadcast bool
	Bytes     []byte
	// Text is for people's own devices, where the network has any: see
	// TerminalLimits.Text.
	Text string
}

// Stage is how far a message is known to have got.
type Stage uint8

// The stages.
const (
	// StageQueued: the terminal took it and will send it.
	StageQueued Stage = iota
	// StageAired: the terminal says that it was sent. On BeiDou nothing better is
	// ever known.
	StageAired
	// StageTaken: the network, or the next station, said that it has it.
	StageTaken
)

var stageNames = [...]string{"queued", "aired", "taken"}

// String gives the stage's code.
func (s Stage) String() string { return stageNames[min(int(s), len(stageNames)-1)] }

// Sent is what is known of a message that was sent.
type Sent struct {
	At    time.Time
	Stage Stage
	// Ref is the terminal's or the network's own number of it, if it has one.
	Ref string
}

// Incoming is a message that came.
type Incoming struct {
	// From is the sender as the network gives it, which proves nothing; To is whom
	// it was for, where the network says so.
	From, To string
	Bytes    []byte
	// Text is set instead of Bytes where the network says that it is text; beside
	// them where the text is nothing but the base64 of bytes.
	Text string
	// GB2312 says that Bytes are Chinese text in that code and not the sender's
	// bytes: BeiDou's 汉字 mode.
	GB2312    bool
	Broadcast bool
	// At is when its last byte was heard; Sent when the network had it, as far as
	// it says, reckoned to the day of At. Zero: not said.
	At, Sent time.Time
	// Bars is the signal with which it came: see TerminalState.
	Bars int
}

// Bar says why a terminal sends nothing, as a code for whoever words it.
type Bar string

// Why nothing may be sent.
const (
	BarNone        Bar = ""
	BarStarting    Bar = "starting"     // not open, or it has not yet said what it is
	BarReceiveOnly Bar = "receive-only" // the licence or card was not entered
	BarNoCard      Bar = "no-card"      // there is no card in it
	BarOtherCard   Bar = "other-card"   // the card in it is not the registered one
	BarLevel       Bar = "level"        // the card's level is in no table
	BarSettings    Bar = "settings"     // it is set to more than was licensed
	BarNoSignal    Bar = "no-signal"    // it hears no beam, cell or satellite
	BarSilenced    Bar = "silenced"     // it or its network orders silence
)

// TerminalLimits is what may be sent now.
type TerminalLimits struct {
	// Bytes is the most that one message holds. 0: not known yet.
	Bytes int
	// Text is the most Chinese characters of one message for people. 0: none can
	// be sent.
	Text int
	// Every is the least time between two messages, 0 where there is none, and Next
	// the first moment for the next one.
	Every time.Duration
	Next  time.Time
	// Transmit tells whether it may send at all; Bar says why not.
	Transmit bool
	Bar      Bar
}

// TerminalState is how a terminal does.
type TerminalState struct {
	// Up: the port is open and the terminal has answered.
	Up bool
	// ID is the card, node or subscriber number. Empty: not known yet.
	ID string
	// Bars is the signal, 0 none to 4 best; -1 not known.
	Bars int
	// Heard is when it last said something that made sense.
	Heard time.Time
	// Free is how many messages its own queue still takes; -1: it has none, or does
	// not say.
	Free int
	// Aired counts what the terminal took, Refused what it or this driver refused,
	// Unknown what it took and never spoke of. Received counts what came, Dropped
	// what came and nobody took in time; Garbled frames that were none, Strange
	// good ones that are of no use here.
	Aired, Refused, Unknown, Received, Dropped, Garbled, Strange int64
	// Last is what went wrong last, in English, for logs.
	Last string
}
