package srt

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/source/ts"
	"tocsin/firmware/video/stream"
)

// look is how often a connection is looked at.
const look = time.Second

var errAbrupt = errors.New("the connection's goroutine failed")

// A talk is a publisher's connection.
type talk struct {
	s   *Server
	c   gosrt.Conn
	w   *stream.Writer
	log *slog.Logger

	last atomic.Int64 // Unix ms of when something of it came
	end  atomic.Pointer[phrase.Error]
	over atomic.Bool
}

// run reads until the end. gosrt knows no deadlines: what has to end it closes the connection.
func (t *talk) run(ctx context.Context) {
	d := ts.NewDemuxer(t.w, t.log)
	t.last.Store(time.Now().UnixMilli())
	stop := context.AfterFunc(ctx, func() { t.c.Close() })
	t.watch()
	why := errAbrupt
	defer func() {
		t.over.Store(true)
		stop()
		t.c.Close()
		t.w.Close(why)
		t.s.dismiss()
	}()
	why = t.why(t.read(d))
	d.Flush()
	t.log.Info("srt: publishing ended", "why", why, "lost", d.Lost())
}

func (t *talk) read(d *ts.Demuxer) error {
	b := make([]byte, 2048)
	for {
		n, err := t.c.Read(b)
		if err != nil {
			return err
		}
		pictures := d.Pictures()
		if _, err := d.Write(b[:n]); err != nil {
			return err
		}
		if d.Pictures() != pictures {
			t.last.Store(time.Now().UnixMilli())
		}
	}
}

// watch looks at the connection each second while it lasts.
func (t *talk) watch() {
	time.AfterFunc(look, func() {
		if !t.over.Load() && t.look() {
			t.watch()
		}
	})
}

// look ends a connection without pictures, or one that holds too much; false where it did.
func (t *talk) look() bool {
	var st gosrt.Statistics
	t.c.Stats(&st)
	idle := time.Duration(time.Now().UnixMilli()-t.last.Load()) * time.Millisecond
	switch {
	case idle > t.s.o.Idle:
		t.end.Store(phrase.E("srt.idle", "seconds", int(t.s.o.Idle.Seconds())))
	case st.Instantaneous.ByteRecvBuf > t.s.o.Waiting:
		t.end.Store(phrase.E("srt.waiting", "mib", int(t.s.o.Waiting>>20)))
	default:
		return true
	}
	t.c.Close()
	return false
}

func (t *talk) why(err error) error {
	if e := t.end.Load(); e != nil {
		return e
	}
	if errors.Is(err, io.EOF) {
		return phrase.E("srt.gone")
	}
	return err
}
