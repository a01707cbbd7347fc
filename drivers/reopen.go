package drivers

import (
	"os"
	"sync"
)

// Reopener holds a Port that is opened at the first use and again after it was
// gone, once a use at most. One goroutine uses it; Close may be called from any.
// The zero value with Open set is ready.
type Reopener struct {
	// Open gives the port.
	Open func() (Port, error)

	mu     sync.Mutex
	port   Port
	done   chan struct{}
	closed bool
}

// Ready gives the open port. opened tells that it was opened by this call, so
// that nothing which was begun before goes on. Errors are *Fault of kind
// FaultGone.
func (r *Reopener) Ready() (p Port, opened bool, err error) {
	r.mu.Lock()
	p, closed := r.port, r.closed
	r.mu.Unlock()
	switch {
	case closed:
		return nil, false, &Fault{Kind: FaultGone, Err: os.ErrClosed}
	case p != nil:
		return p, false, nil
	}
	if p, err = r.Open(); err != nil {
		if KindOf(err) == FaultGone {
			return nil, false, err
		}
		return nil, false, &Fault{Kind: FaultGone, Detail: "the port does not open", Err: err}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		p.Close()
		return nil, false, &Fault{Kind: FaultGone, Err: os.ErrClosed}
	}
	r.port = p
	return p, true, nil
}

// Gone closes the port, since err came of it, and gives the Fault to report.
func (r *Reopener) Gone(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &Fault{Kind: FaultGone, Err: err}
	if r.port != nil {
		f.Detail = r.port.String()
		r.port.Close()
		r.port = nil
	}
	return f
}

// Done is closed by Close.
func (r *Reopener) Done() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended()
}

func (r *Reopener) ended() chan struct{} {
	if r.done == nil {
		r.done = make(chan struct{})
	}
	return r.done
}

// Close ends it for good; again does nothing.
func (r *Reopener) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	close(r.ended())
	if r.port != nil {
		return r.port.Close()
	}
	return nil
}

// Name gives kind, and the port where it is open.
func (r *Reopener) Name(kind string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.port == nil {
		return kind
	}
	return kind + " on " + r.port.String()
}
