package rtmp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/source"
)

const (
	// window is how many bytes are told to be under way at most (5.4.4), ours is the same.
	window = 2_500_000
	// leastWindow keeps a peer from asking for an acknowledgement of every byte.
	leastWindow = 64 << 10
	// chunkOurs is the chunk size of what we send: no answer is longer.
	chunkOurs = 4096
	// ping and its answer are events of user control messages (7.1.7).
	streamBegin  = 0
	pingRequest  = 6
	pingResponse = 7
)

// errDone ends a session that the peer ended in good order or that was told why.
var errDone = errors.New("done")

// A session is one connection. All of it is its goroutine's.
type session struct {
	s      *Server
	conn   net.Conn
	remote netip.AddrPort
	log    *slog.Logger
	r      *bufio.Reader
	chunks *chunkReader
	pass   *source.Pass

	chunkOut  int
	window    uint64 // of the peer's: acknowledge each so many bytes
	acked     uint64
	connected bool
	app, url  string
	streams   int
	feed      *feed
	name      string        // of the stream that is published to
	heard     atomic.Int64  // Unix ms of its last picture or sound
	over      chan struct{} // closed when it publishes no more
}

func (e *session) run() {
	e.knock()
	defer func() {
		e.unpublish(errAbrupt) // where it was not done in order
		e.pass.Leave()         // whichever pass it has by then
	}()
	err := handshake(e.r, deadlined{e})
	if err == nil {
		e.chunks = newChunkReader(e.r, e.s.o.Stranger)
		err = e.serve()
	}
	err = e.why(err)
	e.unpublish(err)
	switch {
	case err == nil:
	case errors.Is(err, errTold):
		e.s.part(e.conn)
	default:
		// Strangers do not write into the log of a box that is set to its usual level.
		e.log.Debug("rtmp: connection ended", "why", err)
	}
}

// errTold is an end whose reason the peer was told.
var errTold = errors.New("told")

// knock begins the time that a stranger has, and takes a place at the gate.
func (e *session) knock() {
	e.pass = e.s.gate.Enter(e.remote.Addr(), func() { e.conn.Close() })
	e.conn.SetReadDeadline(time.Now().Add(e.s.o.Knock))
}

// why makes a reason that a person understands of what ended the session.
func (e *session) why(err error) error {
	var own *phrase.Error
	switch {
	case errors.Is(err, errDone):
		return nil
	case errors.As(err, &own) || errors.Is(err, errTold):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded) && e.feed != nil:
		return phrase.E("rtmp.idle", "seconds", int(e.s.o.Idle.Seconds()))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return phrase.E("rtmp.slow", "seconds", int(e.s.o.Knock.Seconds()))
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) || isNet(err):
		return phrase.E("rtmp.gone")
	}
	return phrase.Wrap(err, "rtmp.broken")
}

func isNet(err error) bool {
	var n net.Error
	return errors.As(err, &n)
}

// serve reads messages until the end.
func (e *session) serve() error {
	for {
		m, err := e.chunks.next()
		if err != nil {
			return err
		}
		if err := e.message(m); err != nil {
			return err
		}
		if e.window > 0 && e.chunks.got-e.acked >= e.window {
			e.acked = e.chunks.got
			if err := e.send(2, message{kind: kindAck, body: binary.BigEndian.AppendUint32(nil, uint32(e.acked))}); err != nil {
				return err
			}
		}
	}
}

func (e *session) message(m message) error {
	switch m.kind {
	case kindSetChunkSize, kindAbort, kindWindow, kindUserControl, kindPeerBandwidth:
		return e.control(m)
	case kindCommand, kindCommandAMF3:
		return e.command(m)
	}
	if e.feed == nil {
		return nil
	}
	switch m.kind {
	case kindAudio, kindVideo, kindData, kindDataAMF3:
		return e.media(m)
	case kindAggregate:
		return e.aggregate(m)
	}
	return nil
}

// control obeys a protocol control message (5.4).
func (e *session) control(m message) error {
	if m.kind == kindUserControl {
		if len(m.body) >= 6 && binary.BigEndian.Uint16(m.body) == pingRequest {
			return e.send(2, message{kind: kindUserControl, body: append([]byte{0, pingResponse}, m.body[2:6]...)})
		}
		return nil
	}
	if len(m.body) < 4 {
		return errControl
	}
	v := binary.BigEndian.Uint32(m.body)
	switch m.kind {
	case kindSetChunkSize:
		if v == 0 || v > 1<<31-1 {
			return errControl
		}
		e.chunks.size = int(min(v, largestChunk))
	case kindAbort:
		e.chunks.abort(v)
	case kindWindow:
		e.window = uint64(max(v, leastWindow))
	}
	return nil
}

var (
	errControl = errors.New("protocol control message is broken")
	errAbrupt  = errors.New("the connection's goroutine failed")
	errOrder   = errors.New("command that has no place here")
)

// media hands on what is shown, heard or said of it, and puts the end for want of it off.
func (e *session) media(m message) error {
	switch m.kind {
	case kindVideo:
		e.alive()
		return e.tell(e.feed.picture(m.time, m.body))
	case kindAudio:
		e.alive()
		return e.tell(e.feed.sound(m.time, m.body))
	case kindDataAMF3:
		if len(m.body) == 0 {
			return nil
		}
		m.body = m.body[1:] // AMF 0 behind a byte that says so
	}
	v, _ := decodeAMF(m.body) // what came before a fault is as good
	if len(v) > 0 && v[0] == "@setDataFrame" {
		v = v[1:]
	}
	if len(v) > 1 && v[0] == "onMetaData" {
		if o, ok := v[1].(object); ok {
			e.feed.announced(o)
		}
	}
	return nil
}

func (e *session) alive() {
	now := time.Now()
	e.heard.Store(now.UnixMilli())
	e.conn.SetReadDeadline(now.Add(e.s.o.Idle))
}

// tell tells the peer why its pictures are not taken.
func (e *session) tell(err error) error {
	if err == nil {
		return nil
	}
	e.status("NetStream.Publish.Failed", "error", said(err))
	e.unpublish(err)
	return errTold
}

// aggregate takes the messages apart that come in one (7.1.6); their times are as far
// from its own as they are from the first's.
func (e *session) aggregate(m message) error {
	var first uint32
	for b, i := m.body, 0; len(b) >= 11; i++ {
		n := int(uint24(b[1:]))
		t := uint24(b[4:]) | uint32(b[7])<<24
		if i == 0 {
			first = t
		}
		one := message{kind: b[0], time: m.time + t - first, stream: m.stream}
		if b = b[11:]; len(b) < n {
			return nil
		}
		one.body = b[:n:n]
		b = b[min(n+4, len(b)):] // the size of the tag follows
		switch one.kind {
		case kindAudio, kindVideo, kindData:
			if err := e.media(one); err != nil {
				return err
			}
		}
	}
	return nil
}

// send writes a message; who takes no answers is not waited for.
func (e *session) send(id byte, m message) error {
	_, err := deadlined{e}.Write(appendMessage(nil, id, m, e.chunkOut))
	return err
}

type deadlined struct{ e *session }

func (d deadlined) Write(b []byte) (int, error) {
	d.e.conn.SetWriteDeadline(time.Now().Add(d.e.s.o.Answer))
	return d.e.conn.Write(b)
}

// said gives an error in both languages: nobody knows which an encoder's user reads.
func said(err error) string {
	return phrase.In(err, phrase.ZH) + " / " + phrase.In(err, phrase.EN)
}
