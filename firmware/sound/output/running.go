package output

import (
	"slices"
	"sync"

	"tocsin/firmware/phrase"
	"tocsin/firmware/sound/order"
)

// Running is one order being obeyed.
type Running struct {
	order   order.Order
	refused phrase.Message
	done    chan struct{}

	mu       sync.Mutex
	open     int             // jobs that have not ended
	revoked  map[string]bool // outputs that do something else by now
	receipts []Event
}

func newRunning(o order.Order) *Running {
	return &Running{order: o, done: make(chan struct{}), revoked: map[string]bool{}}
}

// Order gives what is obeyed.
func (r *Running) Order() order.Order { return r.order }

// Refused says why nothing is done at all; zero where something is.
func (r *Running) Refused() phrase.Message { return r.refused }

// Done is closed when every output, and every output that took over, has
// written its last line.
func (r *Running) Done() <-chan struct{} { return r.done }

// Receipts gives the lines so far, in the order in which they were written.
func (r *Running) Receipts() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.receipts)
}

func (r *Running) add(e Event) {
	r.mu.Lock()
	r.receipts = append(r.receipts, e)
	if len(r.receipts) > mostLines {
		r.receipts = slices.Delete(r.receipts, 1, 2)
	}
	r.mu.Unlock()
}

// mostLines bounds the receipt of an output that fails and comes back for hours.
const mostLines = 1000

func (r *Running) opened(n int) {
	r.mu.Lock()
	r.open += n
	r.mu.Unlock()
}

func (r *Running) closed() {
	r.mu.Lock()
	if r.open--; r.open == 0 {
		close(r.done)
	}
	r.mu.Unlock()
}

// revoke ends every takeover for an output.
func (r *Running) revoke(primary string) {
	r.mu.Lock()
	r.revoked[primary] = true
	r.mu.Unlock()
}

func (r *Running) isRevoked(primary string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.revoked[primary]
}
