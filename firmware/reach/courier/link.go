package courier

import (
	"context"
	"fmt"
	"time"

	"tocsin/firmware/phrase"
)

// Link is one way to the county. Its name is its row in links.yaml. Every method but
// Send and Probe returns at once.
type Link interface {
	Name() string
	// Limits says what may be sent now; it changes with the card, the signal and the cable.
	Limits() Limits
	// Send gives one parcel to the link and never waits longer than ctx. nil means that it
	// went out, not that it arrived. Errors are *Fault; any other is taken as FaultUnsure.
	// The link may pack the parts as it likes and splits what is longer than one message.
	Send(ctx context.Context, p Parcel) error
	// Acks gives the end-to-end receipts that came by this link. It is never closed.
	Acks() <-chan []Ack
}

// Prober is a Link that can ask whether the far end answers: not whether a
// cable is in, but whether the hub is there. nil is a good probe.
type Prober interface {
	Probe(ctx context.Context) error
}

// Limits is what a link takes now.
type Limits struct {
	// May: it is open and allowed to send. Why says what is wrong where it is not.
	May bool
	Why phrase.Message
	// Bytes is the most that one message holds and Every the least time between two; 0
	// takes what links.yaml says.
	Bytes int
	Every time.Duration
}

// Part is one message of a parcel.
type Part struct {
	ID    string
	Class Class
	// Short: Bytes are the message's short form.
	Short bool
	Bytes []byte
}

// Parcel is what goes out at once: the most urgent part first.
type Parcel struct {
	Ticket uint64
	Link   string
	Parts  []Part
	// Messages is in how many messages of the link the parcel goes out.
	Messages int
}

// FaultKind says what a failed Send means for what comes next.
type FaultKind uint8

// The kinds. After all but Unsure it is certain that nothing went out.
const (
	FaultUnsure  FaultKind = iota // it may have gone out
	FaultEarly                    // not before Wait
	FaultGone                     // the link is gone
	FaultRefused                  // the link said no; later perhaps
	FaultTooLong                  // it does not fit this link
)

var faultNames = [...]string{"unsure", "early", "gone", "refused", "too-long"}

// String gives the kind's code.
func (k FaultKind) String() string { return faultNames[min(int(k), len(faultNames)-1)] }

// Fault is why a Send failed.
type Fault struct {
	Kind FaultKind
	// Wait is how long the link asks to be left alone.
	Wait time.Duration
	Err  error
}

// Error says it in English.
func (f *Fault) Error() string {
	s := "link: " + f.Kind.String()
	if f.Wait > 0 {
		s += fmt.Sprintf(", wait %v", f.Wait)
	}
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.Err }
