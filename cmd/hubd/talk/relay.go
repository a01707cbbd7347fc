package talk

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// Protocol names what the desk's socket is asked to become: messages of a talk both ways, each
// after its length in 32 bits.
const Protocol = "tocsin-talk"

// relaysMost bounds how many talks the socket carries at once, silentMost ends one by which nothing goes.
const (
	relaysMost = 16
	silentMost = 2 * time.Minute
)

// Relay carries the talks of the desk's commands, which hold the keys themselves: the hub sees
// sealed bytes.
type Relay struct {
	Conn  *nats.Conn
	Known func(letter.Station) bool
	Who   func(*http.Request) string
	Guard *guard.Guard
	Log   *slog.Logger

	once sync.Once
	room chan struct{}
}

// ServeHTTP handles GET /v1/talk?station=ID with Upgrade.
func (r *Relay) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.once.Do(func() { r.room = make(chan struct{}, relaysMost) })
	s := letter.Station(q.URL.Query().Get("station"))
	if q.Header.Get("Upgrade") != Protocol || !s.Valid() || !r.Known(s) {
		http.Error(w, phrase.M("hubd.talk_station", "station", api(s)).In(phrase.ZH), http.StatusNotFound)
		return
	}
	select {
	case r.room <- struct{}{}:
	default:
		http.Error(w, phrase.M("hubd.talk_many", "most", relaysMost).In(phrase.ZH), http.StatusServiceUnavailable)
		return
	}
	free := func() { <-r.room }
	l, err := NATS(r.Conn, s)
	if err != nil {
		free()
		http.Error(w, phrase.In(err, phrase.ZH), http.StatusBadGateway)
		return
	}
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		free()
		l.Close()
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	who := r.Who(q)
	r.Log.Info("a talk is carried", "station", s, "by", who)
	r.Guard.Go("talk", "relay", guard.Once, func(ctx context.Context) error {
		defer free()
		defer l.Close()
		defer c.Close()
		_ = c.SetDeadline(time.Time{})
		if _, err := c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: " + Protocol + "\r\nConnection: Upgrade\r\n\r\n")); err != nil {
			return nil
		}
		stop := context.AfterFunc(ctx, func() { c.Close() })
		defer stop()
		r.Guard.Go("talk", "relay back", guard.Once, func(ctx context.Context) error {
			defer c.Close()
			return ignore(copyTo(ctx, l, func(b []byte) error { return put(c, b) }))
		})
		for {
			_ = c.SetReadDeadline(time.Now().Add(silentMost))
			b, err := take(rw.Reader)
			if err != nil {
				r.Log.Info("a talk is carried no more", "station", s, "by", who)
				return nil
			}
			if err := l.Send(b); err != nil {
				return nil
			}
		}
	})
}

func api(s letter.Station) string {
	if !s.Valid() {
		return "?"
	}
	return string(s)
}

func ignore(error) error { return nil }

func put(w io.Writer, b []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(len(b))), b...))
	return err
}

func take(r io.Reader) ([]byte, error) {
	var n [4]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(n[:])
	if size == 0 || size > letter.TalkMost {
		return nil, phrase.E("hubd.talk_line")
	}
	b := make([]byte, size)
	_, err := io.ReadFull(r, b)
	return b, err
}

// socketLine is a line by the desk's socket.
type socketLine struct {
	c   net.Conn
	got chan []byte
}

// Socket opens a line to a station by the running hub's socket.
func Socket(ctx context.Context, socket string, s letter.Station, start func(string, func(context.Context) error)) (Line, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, phrase.E("hubd.unreachable", "socket", socket)
	}
	q, err := http.NewRequest(http.MethodGet, "http://hubd/v1/talk?station="+string(s), nil)
	if err != nil {
		c.Close()
		return nil, err
	}
	q.Header.Set("Upgrade", Protocol)
	q.Header.Set("Connection", "Upgrade")
	r := bufio.NewReader(c)
	if err := q.Write(c); err != nil {
		c.Close()
		return nil, phrase.E("hubd.unreachable", "socket", socket)
	}
	a, err := http.ReadResponse(r, q)
	if err != nil {
		c.Close()
		return nil, phrase.E("hubd.unreachable", "socket", socket)
	}
	if a.StatusCode != http.StatusSwitchingProtocols {
		c.Close()
		return nil, phrase.E("hubd.talk_station", "station", string(s))
	}
	l := &socketLine{c: c, got: make(chan []byte, waits)}
	start("talk socket", func(context.Context) error {
		defer close(l.got)
		for {
			b, err := take(r)
			if err != nil {
				return nil
			}
			select {
			case l.got <- b:
			default:
			}
		}
	})
	return l, nil
}

// Send gives it to the hub.
func (l *socketLine) Send(b []byte) error {
	_ = l.c.SetWriteDeadline(time.Now().Add(leaveIn))
	return put(l.c, b)
}

// Receive gives what the station sends.
func (l *socketLine) Receive() <-chan []byte { return l.got }

// Close ends it.
func (l *socketLine) Close() { l.c.Close() }
