package uplink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// ErrLater is what Take answers when it cannot judge just now: the letter comes
// again.
var ErrLater = errors.New("uplink: judge it later")

// ErrDown is wrapped by what a Send gives whose link is down: nothing was sent.
var ErrDown = errors.New("uplink: the link is down")

// ErrRefused is wrapped by what a Send gives that the hub will never keep.
var ErrRefused = errors.New("uplink: the hub refuses it")

// Incoming is a letter from the hub. Whoever receives it must call Done once.
type Incoming struct {
	letter.Letter
	// Done tells the hub that it was taken, or, with ErrLater, that it was not.
	Done func(error)
}

// incomingMost is how many letters wait in a Received channel.
const incomingMost = 16

// hander gives letters to Take, or to a channel where there is none.
type hander struct {
	take func(context.Context, letter.Letter) error
	in   chan Incoming
}

func newHander(take func(context.Context, letter.Letter) error) hander {
	return hander{take: take, in: make(chan Incoming, incomingMost)}
}

// hand waits until a letter was taken. Any answer but ErrLater means that it was
// judged.
func (h *hander) hand(ctx context.Context, l letter.Letter) error {
	if h.take != nil {
		err := h.take(ctx, l)
		if ctx.Err() != nil {
			return ErrLater
		}
		return err
	}
	done := make(chan error, 1)
	in := Incoming{l, func(err error) {
		select {
		case done <- err:
		default:
		}
	}}
	select {
	case h.in <- in:
	case <-ctx.Done():
		return ErrLater
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ErrLater
	}
}

// judgeIn is how long one letter may be judged.
const judgeIn = 30 * time.Second

func down(cause error) error {
	return phrase.Wrap(errors.Join(ErrDown, cause), "uplink.down")
}

// saidEvery is how often the same reason for not reaching the hub is logged: a link may be
// away for months, and is tried every few seconds.
const saidEvery = 10 * time.Minute

// said remembers what was logged last.
type said struct {
	mu   sync.Mutex
	text string
	at   time.Time
}

func (s *said) warn(log *slog.Logger, link string, err error) {
	text := fmt.Sprint(err)
	s.mu.Lock()
	again := text == s.text && time.Since(s.at) < saidEvery
	if !again {
		s.text, s.at = text, time.Now()
	}
	s.mu.Unlock()
	if !again {
		log.Warn("uplink not reached", "link", link, "err", err)
	}
}
