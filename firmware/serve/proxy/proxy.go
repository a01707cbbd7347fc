// Package proxy serves a line to others: a Modbus TCP server through which a
// SCADA reads the units of a line that only one master can own.
//
// It never owns a line: each request goes to the line's owner behind everything
// of the house. It answers nobody who is not on its list, switches nothing
// unless told that it may, and never what an output of the site hangs on. It is
// not there unless a site file names it.
//
// Sources: MODBUS Messaging on TCP/IP Implementation Guide V1.0b, section 3.1.3
// (header); MODBUS Application Protocol V1.1b3, sections 6 (functions) and 7
// (exceptions: 10 and 11 are a gateway's).
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
)

// Line is a line whose owner does requests for guests.
type Line interface {
	Guest(ctx context.Context, unit uint8, do func(context.Context, drivers.Registers) error) error
}

// Config says who is served what.
type Config struct {
	// Name is for logs and faults.
	Name   string
	Listen string
	// Allow are the networks that may connect; nobody else is answered.
	Allow []netip.Prefix
	// Write lets clients write, except to units that Owned tells.
	Write bool
	// Owned tells whether an output of the site hangs on a unit; nil: none does.
	Owned func(unit uint8) bool
	// Fresh is how long an answer serves others that ask for the same: 1 s
	// unless told; negative: never.
	Fresh time.Duration
	// Rate is how many requests a second the line gets of all clients together;
	// 10 unless told.
	Rate float64
	// Conns bounds connections: 16 unless told.
	Conns int
}

// Opts is what a proxy needs from the house.
type Opts struct {
	Guard *guard.Guard
	Log   *slog.Logger
	// Line gives the line of the moment; nil where it does not run.
	Line func() Line
	// Report is told what is wrong with the listener, and the zero Message when
	// it is well again.
	Report func(phrase.Message)
}

// Proxy is one server. Use New, then Serve.
type Proxy struct {
	c    Config
	o    Opts
	know *memory

	mu    sync.Mutex
	conns map[net.Conn]bool
	addr  string
}

// Times of a connection and of a request.
const (
	idleMost   = 2 * time.Minute
	writeMost  = 5 * time.Second
	askMost    = 3 * time.Second
	retryAfter = 5 * time.Second
)

// New makes a proxy; it listens nowhere yet.
func New(c Config, o Opts) *Proxy {
	if c.Fresh == 0 {
		c.Fresh = time.Second
	}
	if c.Rate <= 0 {
		c.Rate = 10
	}
	if c.Conns <= 0 {
		c.Conns = 16
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Report == nil {
		o.Report = func(phrase.Message) {}
	}
	return &Proxy{c: c, o: o, know: newMemory(c.Fresh, c.Rate), conns: map[net.Conn]bool{}}
}

// Serve takes clients until ctx ends. A port that is busy is reported and tried
// again.
func (p *Proxy) Serve(ctx context.Context) error {
	reported := false
	for ctx.Err() == nil {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.c.Listen)
		if err == nil {
			if reported {
				p.o.Report(phrase.Message{})
			}
			p.mu.Lock()
			p.addr = l.Addr().String()
			p.mu.Unlock()
			p.accept(ctx, l)
			continue
		}
		if !reported {
			reported = true
			p.o.Report(phrase.M("proxy.port", "listen", p.c.Listen, "err", err.Error()))
		}
		t := time.NewTimer(retryAfter)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
	return nil
}

// Addr gives where it listens, "" while it does not.
func (p *Proxy) Addr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr
}

func (p *Proxy) accept(ctx context.Context, l net.Listener) {
	stop := context.AfterFunc(ctx, func() { l.Close(); p.hangUp() })
	defer stop()
	defer l.Close()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() == nil {
				p.o.Log.Warn("proxy does not accept", "proxy", p.c.Name, "err", err)
				select { // out of descriptors, maybe
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
				if !errors.Is(err, net.ErrClosed) {
					continue
				}
			}
			return
		}
		if !p.admit(ctx, c) {
			c.Close()
			continue
		}
		p.o.Guard.GoIn(ctx, "serve", "proxy "+p.c.Name+" client", guard.Once, func(ctx context.Context) error {
			defer p.leave(c)
			p.client(ctx, c)
			return nil
		})
	}
}

func (p *Proxy) admit(ctx context.Context, c net.Conn) bool {
	if ctx.Err() != nil || !p.allowed(c.RemoteAddr()) {
		p.o.Log.Warn("proxy turned a client away", "proxy", p.c.Name, "client", c.RemoteAddr().String())
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.conns) >= p.c.Conns {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) allowed(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := t.AddrPort().Addr().Unmap().WithZone("")
	for _, n := range p.c.Allow {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}

func (p *Proxy) leave(c net.Conn) {
	c.Close()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

func (p *Proxy) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// client serves one connection, one request after the other.
func (p *Proxy) client(ctx context.Context, c net.Conn) {
	for ctx.Err() == nil {
		c.SetReadDeadline(time.Now().Add(idleMost))
		q, err := readRequest(c)
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				p.o.Log.Debug("proxy client ends", "proxy", p.c.Name, "client", c.RemoteAddr().String(), "err", err)
			}
			return
		}
		pdu := p.answer(ctx, q)
		c.SetWriteDeadline(time.Now().Add(writeMost))
		if _, err := c.Write(q.reply(pdu)); err != nil {
			return
		}
	}
}

// String names it.
func (p *Proxy) String() string { return fmt.Sprintf("modbus proxy %s on %s", p.c.Name, p.c.Listen) }
