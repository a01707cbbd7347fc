package rtmp

import (
	"context"
	"log/slog"
	"time"

	"tocsin/firmware/video/source"
)

// Opts are a server's.
type Opts struct {
	// Desk says who may publish.
	Desk source.Desk
	// Go starts a connection's goroutine under the caller's guard, once: it ends with the connection.
	Go  func(name string, run func(context.Context) error)
	Log *slog.Logger
	Limits
}

// Limits bound what comes from outside; zero values are those of DefaultLimits.
type Limits struct {
	// Knock is the time from connecting to publishing.
	Knock time.Duration
	// Idle is how long a publisher may send neither picture nor sound.
	Idle time.Duration
	// Answer is the time a peer has to take an answer.
	Answer time.Duration
	// Address and All are how many connections may wait that have shown no key, of one address
	// and in all; Publishers how many may publish at once.
	Address, All, Publishers int
	// Stranger and Message are the most bytes of a message before and after a key was shown,
	// and of all unfinished messages of a connection.
	Stranger, Message int
}

// DefaultLimits are what a box works with: an encoder on a bad link needs seconds to knock,
// and a key picture in 4K at the best quality is below 2 MiB.
var DefaultLimits = Limits{
	Knock: 10 * time.Second, Idle: 30 * time.Second, Answer: 5 * time.Second,
	Address: 4, All: 32, Publishers: 16,
	Stranger: 64 << 10, Message: 4 << 20,
}

func (l Limits) filled() Limits {
	d := DefaultLimits
	for _, v := range []struct{ to, from *time.Duration }{{&l.Knock, &d.Knock}, {&l.Idle, &d.Idle}, {&l.Answer, &d.Answer}} {
		if *v.to <= 0 {
			*v.to = *v.from
		}
	}
	for _, v := range []struct{ to, from *int }{{&l.Address, &d.Address}, {&l.All, &d.All}, {&l.Publishers, &d.Publishers}, {&l.Stranger, &d.Stranger}, {&l.Message, &d.Message}} {
		if *v.to <= 0 {
			*v.to = *v.from
		}
	}
	return l
}
