package ts

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
)

// Opts are those of a port by which one stream comes.
type Opts struct {
	// Stream is what is published.
	Stream string
	// From is who may send. It must be set: UDP has no key.
	From netip.Prefix
	// Desk says whether the stream is free. It is asked without a key.
	Desk source.Desk
	Log  *slog.Logger
	// Idle is how long a sender may be silent before another is heard; 0 is 10 s.
	Idle time.Duration
}

// A Listener hears one port.
type Listener struct {
	o Opts
	// Strangers counts datagrams of addresses that may not send, or not now.
	strangers uint64
}

// silent is how long a sender says nothing until its address may speak from another port.
const silent = 2 * time.Second

// again is how long the desk is not asked again when it refused.
const again = time.Second

// New makes one; its error says what is missing.
func New(o Opts) (*Listener, error) {
	if !o.From.IsValid() {
		return nil, phrase.E("ts.no_prefix", "stream", o.Stream)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Idle <= 0 {
		o.Idle = 10 * time.Second
	}
	o.From = netip.PrefixFrom(o.From.Addr().Unmap(), o.From.Bits()).Masked()
	o.Log = o.Log.With("stream", o.Stream)
	return &Listener{o: o}, nil
}

// talk is a sender's.
type talk struct {
	from netip.AddrPort
	w    *stream.Writer
	d    *Demuxer
	last time.Time
}

// Serve hears the port until ctx ends, then closes it.
func (l *Listener) Serve(ctx context.Context, c *net.UDPConn) error {
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer c.Close()
	c.SetReadBuffer(1 << 20) // a key picture comes at once; what the system gives is enough
	var t *talk
	defer func() { l.end(t, phrase.E("ts.ended")) }()
	var refused time.Time
	b := make([]byte, 64<<10)
	for {
		if t != nil {
			c.SetReadDeadline(t.last.Add(l.o.Idle))
		} else {
			c.SetReadDeadline(time.Time{})
		}
		n, from, err := c.ReadFromUDPAddrPort(b)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			l.end(t, phrase.E("ts.idle", "seconds", int(l.o.Idle.Seconds())))
			t = nil
			continue
		case errors.Is(err, net.ErrClosed):
			return phrase.Wrap(err, "ts.listen", "address", c.LocalAddr().String())
		case err != nil:
			continue // of the system, such as a host that is not there
		}
		now := time.Now()
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		data := bare(b[:n])
		if t != nil && data != nil && t.from != from && t.from.Addr() == from.Addr() && now.Sub(t.last) > silent {
			// The same sender at another port: it began anew, or what translates addresses did.
			l.end(t, phrase.E("ts.anew"))
			t = nil
		}
		if data == nil || !l.o.From.Contains(from.Addr()) || t != nil && t.from != from {
			l.strangers++
			if t != nil && now.Sub(t.last) > l.o.Idle {
				l.end(t, phrase.E("ts.idle", "seconds", int(l.o.Idle.Seconds())))
				t = nil
			}
			continue
		}
		if t == nil {
			if now.Sub(refused) < again {
				continue
			}
			if t = l.begin(from); t == nil {
				refused = now
				continue
			}
		}
		t.last = now
		if _, err := t.d.Write(data); err != nil {
			l.end(t, err)
			t, refused = nil, now
		}
	}
}

// begin opens the stream for a sender; nil where it is refused.
func (l *Listener) begin(from netip.AddrPort) *talk {
	w, err := l.o.Desk.Publish(source.Asker{Way: "ts", Stream: l.o.Stream, Remote: from})
	if err != nil {
		l.o.Log.Debug("ts: refused", "remote", from, "why", err)
		return nil
	}
	l.o.Log.Info("ts: publishing", "remote", from)
	return &talk{from: from, w: w, d: NewDemuxer(w, l.o.Log)}
}

func (l *Listener) end(t *talk, why error) {
	if t == nil {
		return
	}
	t.d.Flush()
	t.w.Close(why)
	l.o.Log.Info("ts: publishing ended", "remote", t.from, "why", why, "lost", t.d.Lost(), "strangers", l.strangers)
}

// bare gives the packets of a datagram, which may be in RTP (RFC 2250, section 2); nil where
// there are none.
func bare(b []byte) []byte {
	if len(b) > 12 && b[0]>>6 == 2 && b[1]&0x7f == 33 {
		skip := 12 + 4*int(b[0]&0x0f)
		if b[0]&0x10 != 0 && len(b) >= skip+4 { // an extension
			skip += 4 + 4*(int(b[skip+2])<<8|int(b[skip+3]))
		}
		if skip >= len(b) {
			return nil
		}
		b = b[skip:]
	}
	if len(b) < packetSize || len(b)%packetSize != 0 || b[0] != syncByte {
		return nil
	}
	return b
}
