package drivers

import (
	"context"
	"time"
)

// CallRate is the rate of a telephone's samples: one channel, 16 bits.
const CallRate = 8000

// Caller is a Terminal that makes voice calls. It calls whom it is told to and plays
// what it is given, and judges nothing. It takes no calls: those that come are
// refused and counted, and what the other side says is dropped unheard.
type Caller interface {
	// Call makes one call and waits for its end, never longer than ctx and the time
	// to hang up. One call at a time; messages wait for it. Errors are *Fault:
	//
	//	FaultBarred     it may not or cannot call now; Calls().Bar says why
	//	FaultRefused    the number is none, or the modem does not dial
	//	FaultCancelled  ctx ended before the modem had it
	//	FaultGone       the port is gone, or went while the call was on
	//	FaultTimeout    the modem had it and says nothing any more
	//
	// Called is what is known in any case; with Dialled false nothing was dialled.
	Call(ctx context.Context, c Call) (Called, error)
	// Calls is how it does.
	Calls() CallState
}

// Call is a call to make.
type Call struct {
	// Number is whom, with + before a country's code.
	Number string
	// Audio gives what is played once the call is answered: it fills buf with
	// samples and never waits. done says that it ended with them.
	Audio func(buf []int16) (n int, done bool)
	// Keys are those of which one pressed ends the call; others are only kept.
	Keys string
	// Ring is how long it may ring, Linger how long a key is waited for after what
	// was played, Longest all of it. Each has a default.
	Ring, Linger, Longest time.Duration
	// Changed is told each stage when it is reached, from the goroutine that runs the
	// modem: it must not wait. nil: nobody.
	Changed func(CallStage)
}

// CallStage is how far a call is known to have got.
type CallStage uint8

// The stages.
const (
	CallNone     CallStage = iota
	CallDialled            // the modem took the number
	CallRinging            // the network says that it rings
	CallAnswered           // the modem says that it is answered: see Called.Answered
)

var callStages = [...]string{"none", "dialled", "ringing", "answered"}

// String gives the stage's code.
func (s CallStage) String() string { return callStages[min(int(s), len(callStages)-1)] }

// CallEnd is why a call ended.
type CallEnd string

// Why a call ended.
const (
	CallKey         CallEnd = "key"         // one of Call.Keys was pressed
	CallPlayed      CallEnd = "played"      // all was played and no key came
	CallHungUp      CallEnd = "hung-up"     // the other side, or the network, ended it after it was answered
	CallBusy        CallEnd = "busy"        // the other side speaks, or refused
	CallNoAnswer    CallEnd = "no-answer"   // it rang for as long as it may
	CallUnreachable CallEnd = "unreachable" // the network ended it before it was answered
	CallNoService   CallEnd = "no-service"  // there was no network for it
	CallSilent      CallEnd = "silent"      // it was answered, and the modem took no sound, or not all of it
	CallLongest     CallEnd = "longest"     // it took as long as it may
	CallCancelled   CallEnd = "cancelled"   // ctx ended
	CallLost        CallEnd = "lost"        // the modem went: nobody knows
)

// Called is what is known of a call.
type Called struct {
	Stage CallStage
	// Began is when the number was given to the modem, Rang and Answered when it said
	// so, Ended when it was over. Zero: never. Some networks let a modem say
	// "answered" as soon as it rings: only a key proves that somebody listens.
	Began, Rang, Answered, Ended time.Time
	// Played is how much of the audio the modem had taken by the end, and Whole that
	// it was all of it.
	Played time.Duration
	Whole  bool
	// Keys are the keys that were pressed, in their order, at most 32.
	Keys string
	Why  CallEnd
	// Deaf says that the modem does not tell keys: they were listened for in the sound.
	Deaf bool
}

// CallState is how a Caller does with calls.
type CallState struct {
	// Bar says why no call can be made now.
	Bar Bar
	// Busy: a call is on.
	Busy bool
	// Made counts the calls that were dialled, Answered those of them that the modem
	// called answered, Refused calls that came and were refused.
	Made, Answered, Refused int64
}

// BarNoVoice says that the modem has no way for sound.
const BarNoVoice Bar = "no-voice"
