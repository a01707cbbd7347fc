package rtmp

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
)

// A desk has one stream, "drone", whose key is "geheim".
type desk struct {
	mu    sync.Mutex
	asked []source.Asker
	s     *stream.Stream
}

func newDesk() *desk {
	begun := time.Now()
	return &desk{s: stream.New(stream.Opts{Name: "drone", Now: func() time.Duration { return time.Since(begun) }})}
}

func (d *desk) Publish(a source.Asker) (*stream.Writer, error) {
	d.mu.Lock()
	d.asked = append(d.asked, a)
	d.mu.Unlock()
	if a.Stream != "drone" || a.Key != "geheim" {
		return nil, phrase.E("rtmp.no_key", "stream", a.Stream)
	}
	return d.s.Open(a.Way)
}

// A pipeListener gives pipes, so that tests run in a bubble of virtual time.
type pipeListener struct {
	come chan net.Conn
	gone chan struct{}
	once sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{come: make(chan net.Conn), gone: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.come:
		return c, nil
	case <-l.gone:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.gone) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

type fromConn struct {
	net.Conn
	from string
}

func (c fromConn) RemoteAddr() net.Addr {
	a, _ := net.ResolveTCPAddr("tcp", c.from)
	return a
}

// A house is a server with its desk.
type house struct {
	t *testing.T
	l *pipeListener
	d *desk
	s *Server
}

// newHouse serves until the test ends it by the returned function.
func newHouse(t *testing.T, o Limits) (*house, func()) {
	t.Helper()
	h := &house{t: t, l: newPipeListener(), d: newDesk()}
	ctx, cancel := context.WithCancel(context.Background())
	h.s = New(Opts{Log: slog.New(slog.DiscardHandler), Desk: h.d, Limits: o, Go: func(_ string, run func(context.Context) error) { go run(ctx) }})
	ended := make(chan error, 1)
	go func() { ended <- h.s.Serve(ctx, h.l) }()
	return h, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}

// An encoder is the other side.
type encoder struct {
	t    *testing.T
	c    net.Conn
	size int
	got  chan message // what the server says; closed when it hangs up
}

func (h *house) connect(from string) *encoder {
	ours, theirs := net.Pipe()
	h.l.come <- fromConn{theirs, from}
	return &encoder{t: h.t, c: ours, size: firstChunk, got: make(chan message, 64)}
}

// shake does the handshake; the server's messages are read from then on.
func (e *encoder) shake() *encoder {
	e.t.Helper()
	hello := make([]byte, 1+handshakeSize)
	hello[0] = version
	for i := range hello[9:] {
		hello[9+i] = byte(i)
	}
	e.write(hello)
	answer := make([]byte, 1+2*handshakeSize)
	if _, err := io.ReadFull(e.c, answer); err != nil {
		e.t.Fatal(err)
	}
	if answer[0] != version || !slices.Equal(answer[1+handshakeSize+8:], hello[9:]) {
		e.t.Fatal("S2 is not what C1 was")
	}
	e.write(answer[1 : 1+handshakeSize])
	go func() {
		defer close(e.got)
		c := newChunkReader(bufio.NewReader(e.c), 1<<20)
		for {
			m, err := c.next()
			if err != nil {
				return
			}
			if m.kind == kindSetChunkSize {
				c.size = int(binary.BigEndian.Uint32(m.body))
			}
			e.got <- m
		}
	}()
	return e
}

func (e *encoder) write(b []byte) {
	e.t.Helper()
	if _, err := e.c.Write(b); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		e.t.Fatal(err)
	}
}

func (e *encoder) send(id byte, m message) { e.t.Helper(); e.write(appendMessage(nil, id, m, e.size)) }

func (e *encoder) command(values ...any) {
	e.t.Helper()
	e.send(3, message{kind: kindCommand, body: appendAMF(nil, values...)})
}

// hear waits for a command of the server's and gives its values; nil where it hangs up first.
func (e *encoder) hear(name string) []any {
	e.t.Helper()
	for m := range e.got {
		if m.kind != kindCommand {
			continue
		}
		v, err := decodeAMF(m.body)
		if err != nil {
			e.t.Fatalf("the server's command: %v", err)
		}
		if v[0] == name {
			return v
		}
	}
	return nil
}

// code is what an onStatus says.
func code(v []any) string {
	if len(v) < 4 {
		return ""
	}
	o, _ := v[3].(object)
	return o.text("code")
}

// publish goes all the way to publishing and gives what was answered.
func (e *encoder) publish(app, name string) []any {
	e.t.Helper()
	e.command("connect", 1, object{{"app", app}, {"type", "nonprivate"}, {"tcUrl", "rtmp://box/" + app}})
	if v := e.hear("_result"); v == nil {
		e.t.Fatal("connect was not answered")
	}
	e.command("releaseStream", 2, nil, name)
	e.command("FCPublish", 3, nil, name)
	e.command("createStream", 4, nil)
	for {
		v := e.hear("_result")
		if v == nil {
			e.t.Fatal("createStream was not answered")
		}
		if v[1] == 4.0 {
			break
		}
	}
	e.send(8, message{kind: kindCommand, stream: 1, body: appendAMF(nil, "publish", 5, nil, name, "live")})
	return e.hear("onStatus")
}

func (e *encoder) live() *encoder {
	e.t.Helper()
	if c := code(e.publish("live", "drone?key=geheim")); c != "NetStream.Publish.Start" {
		e.t.Fatalf("publish was answered by %q", c)
	}
	e.send(2, message{kind: kindSetChunkSize, body: binary.BigEndian.AppendUint32(nil, 4096)})
	e.size = 4096
	return e
}

func (e *encoder) video(time uint32, body []byte) {
	e.t.Helper()
	e.send(6, message{kind: kindVideo, time: time, stream: 1, body: body})
}

func (e *encoder) audio(time uint32, body []byte) {
	e.t.Helper()
	e.send(4, message{kind: kindAudio, time: time, stream: 1, body: body})
}

// units reads pictures and sounds from a stream.
type units struct {
	t *testing.T
	r *stream.Reader
}

func (h *house) watch() units {
	return units{h.t, h.d.s.Reader(stream.ReaderOpts{Name: "test", Live: true, Sound: true})}
}

func (u units) next() *stream.Unit {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	n, err := u.r.Next(ctx)
	if err != nil {
		u.t.Fatalf("no unit came: %v", err)
	}
	return n
}
