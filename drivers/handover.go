package drivers

import (
	"context"
	"time"
)

// Handover brings what any goroutine asks to the one that runs a device, one at a
// time, and the device's word of it back: what stands behind Terminal.Send and
// Caller.Call. Whoever asks never waits longer than its context, and learns by the
// kind of the fault whether the device had it. J is a job, which carries its Reply;
// R is what comes of it.
type Handover[J, R any] struct {
	// Grace is how long the word on a begun job is still waited for after its
	// context's end: for a device that looks at that context itself. Default 0.
	Grace time.Duration

	jobs        chan J
	busy, begun string
}

// Outcome is what became of a job.
type Outcome[R any] struct {
	Result R
	Err    error
}

// Reply is where the word on one job is left. It has room for that one.
type Reply[R any] chan Outcome[R]

// Answer says what became of the job, once. It never waits, also where nobody asks
// any more.
func (r Reply[R]) Answer(result R, err error) { r <- Outcome[R]{result, err} }

// Fail says that nothing became of it, and why.
func (r Reply[R]) Fail(err error) { r <- Outcome[R]{Err: err} }

// NewHandover makes one. busy and begun are what a fault says where the context
// ended before the device had the job, and after.
func NewHandover[J, R any](busy, begun string) *Handover[J, R] {
	return &Handover[J, R]{jobs: make(chan J), busy: busy, begun: begun}
}

// Jobs is for the goroutine that runs the device. Each job that it takes it must
// answer.
func (h *Handover[J, R]) Jobs() <-chan J { return h.jobs }

// Give makes a job by prepare, hands it over and waits for the word on it. Errors
// beside prepare's and the device's are *Fault: FaultCancelled where ctx ended before
// the device had the job, so that nothing was done; FaultTimeout where it ended after.
func (h *Handover[J, R]) Give(ctx context.Context, prepare func(Reply[R]) (J, error)) (R, error) {
	var none R
	if ctx.Err() != nil {
		return none, &Fault{Kind: FaultCancelled, Err: ctx.Err()}
	}
	reply := make(Reply[R], 1)
	j, err := prepare(reply)
	if err != nil {
		return none, err
	}
	select {
	case h.jobs <- j:
	case <-ctx.Done():
		return none, &Fault{Kind: FaultCancelled, Detail: h.busy, Err: ctx.Err()}
	}
	select {
	case o := <-reply:
		return o.Result, o.Err
	case <-ctx.Done():
	}
	t := time.NewTimer(h.Grace)
	defer t.Stop()
	select {
	case o := <-reply:
		return o.Result, o.Err
	case <-t.C:
		return none, &Fault{Kind: FaultTimeout, Detail: h.begun, Err: ctx.Err()}
	}
}
