package srt

import (
	"context"
	"log/slog"
	"time"

	"tocsin/firmware/video/source"
)

// Opts are a server's.
type Opts struct {
	// Address is host:port; the host is an IP address or empty for all.
	Address string
	// Passphrase is of 10 to 80 characters and must be the caller's too; empty for none.
	Passphrase string
	// Latency is the least that is waited for lost packets to be sent again; 0 is 200 ms, and a
	// caller may ask for more.
	Latency time.Duration
	// Desk says who may publish.
	Desk source.Desk
	// Go starts a connection's goroutine under the caller's guard, once: it ends with the connection.
	Go  func(name string, run func(context.Context) error)
	Log *slog.Logger
	Limits
}

// Limits bound what comes from outside; zero values are those of DefaultLimits.
type Limits struct {
	// Idle is how long a publisher may send no picture.
	Idle time.Duration
	// Address and All are how many callers are judged at once, of one address and in all.
	Address, All int
	// Publishers is how many may publish at once.
	Publishers int
	// Waiting is the most bytes that wait for their time in one connection.
	Waiting uint64
}

// DefaultLimits are what a box works with: 8 MiB are 8 s of 8 Mbit/s.
var DefaultLimits = Limits{Idle: 15 * time.Second, Address: 2, All: 16, Publishers: 16, Waiting: 8 << 20}

const (
	latency = 200 * time.Millisecond
	// peerIdle is how long nothing at all may come, not even what keeps a connection alive.
	peerIdle = 5 * time.Second
)

func (o *Opts) fill() {
	d := DefaultLimits
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Latency <= 0 {
		o.Latency = latency
	}
	if o.Idle <= 0 {
		o.Idle = d.Idle
	}
	if o.Waiting == 0 {
		o.Waiting = d.Waiting
	}
	for _, v := range []struct {
		to   *int
		from int
	}{{&o.Limits.Address, d.Address}, {&o.All, d.All}, {&o.Publishers, d.Publishers}} {
		if *v.to <= 0 {
			*v.to = v.from
		}
	}
}
