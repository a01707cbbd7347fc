package ts

import (
	"bytes"
	"errors"
	"log/slog"

	"tocsin/firmware/video/stream"
)

// A Demuxer takes a transport stream apart and writes what it carries. It is of one goroutine.
type Demuxer struct {
	w   *stream.Writer
	log *slog.Logger

	rest   []byte // less than a packet
	pat    section
	pmt    section
	table  uint16 // PID of the program's table
	last   []byte // that table as it was
	tracks tracks
	video  pes
	audio  pes
	shown  uint64
	lost   uint64
	err    error
}

// NewDemuxer makes one.
func NewDemuxer(w *stream.Writer, log *slog.Logger) *Demuxer {
	return &Demuxer{w: w, log: log}
}

// Lost counts pictures and packets of sound that were given up.
func (d *Demuxer) Lost() uint64 { return d.lost }

// Pictures counts those that were written.
func (d *Demuxer) Pictures() uint64 { return d.shown }

// Write takes bytes, cut anywhere. Its error is the stream's: the stream is at its end.
func (d *Demuxer) Write(b []byte) (int, error) {
	n := len(b)
	if len(d.rest) > 0 {
		k := min(packetSize-len(d.rest), len(b))
		d.rest = append(d.rest, b[:k]...)
		if b = b[k:]; len(d.rest) < packetSize {
			return n, nil
		}
		if d.rest[0] == syncByte {
			d.packet(d.rest)
			d.rest = d.rest[:0]
		} else {
			b = append(d.rest, b...)
			d.rest = nil
		}
	}
	for len(b) >= packetSize {
		if b[0] != syncByte || len(b) > packetSize && b[packetSize] != syncByte {
			// Look for the next place where packets may begin.
			i := bytes.IndexByte(b[1:], syncByte)
			if i < 0 {
				b = nil
				break
			}
			b = b[1+i:]
			continue
		}
		d.packet(b[:packetSize])
		b = b[packetSize:]
	}
	d.rest = append(d.rest[:0], b...)
	return n, d.err
}

// Flush gives what is there: nothing more comes.
func (d *Demuxer) Flush() error {
	d.video.end(d.picture, d.gone)
	d.audio.end(d.sound, d.gone)
	return d.err
}

func (d *Demuxer) packet(b []byte) {
	var p packet
	if !p.read(b) {
		return
	}
	switch {
	case p.pid == 0:
		d.pat.add(&p, func(t []byte) {
			if pid := program(t); pid != 0 && pid != d.table {
				d.table, d.pmt = pid, section{}
			}
		})
	case p.pid == d.table:
		d.pmt.add(&p, d.program)
	case p.pid == d.tracks.video:
		d.video.add(&p, d.picture, d.gone)
	case p.pid == d.tracks.audio:
		d.audio.add(&p, d.sound, d.gone)
	}
}

// program follows a program's table, which comes many times a second.
func (d *Demuxer) program(b []byte) {
	if bytes.Equal(b, d.last) {
		return
	}
	var t tracks
	if !t.read(b) {
		return
	}
	d.last = append(d.last[:0], b...)
	if t.aac {
		d.w.Note(stream.AACDropped)
	}
	if t.foreign {
		d.w.Note(stream.Foreign)
	}
	if t.video != d.tracks.video || t.codec != d.tracks.codec {
		d.video.end(d.picture, d.gone)
		d.video = pes{}
	}
	if t.audio != d.tracks.audio {
		d.audio = pes{}
	}
	d.tracks = t
	if t.video == 0 {
		d.log.Warn("ts: no picture in a codec that is carried")
	}
}

func (d *Demuxer) picture(w whole) {
	nals := split(w.data)
	if len(nals) == 0 || d.err != nil {
		return
	}
	d.shown++
	d.failed(d.w.Picture(d.tracks.codec, w.pts, w.dts, nals))
}

// sound takes Opus apart (ETSI TS 103 491, annex E): packets of 20 ms, each behind a header that
// tells its length.
func (d *Demuxer) sound(w whole) {
	at := w.pts
	for b := w.data; len(b) >= 3 && d.err == nil; {
		if b[0] != 0x7f || b[1]&0xe0 != 0xe0 {
			return
		}
		flags := b[1]
		b = b[2:]
		n := 0
		for more := true; more; {
			if len(b) == 0 {
				return
			}
			n += int(b[0])
			more = b[0] == 0xff
			b = b[1:]
		}
		for _, f := range []struct {
			flag byte
			skip int
		}{{0x10, 2}, {0x08, 2}} {
			if flags&f.flag != 0 {
				b = b[min(f.skip, len(b)):]
			}
		}
		if flags&0x04 != 0 { // an extension, which tells its length
			if len(b) == 0 || len(b) < 1+int(b[0]) {
				return
			}
			b = b[1+int(b[0]):]
		}
		if n == 0 || n > len(b) {
			return
		}
		d.failed(d.w.Sound(stream.Opus, at*stream.Opus.Rate()/90000, b[:n:n]))
		b = b[n:]
		at += 90000 / 50
	}
}

func (d *Demuxer) failed(err error) {
	if errors.Is(err, stream.ErrUnit) {
		d.gone()
		return
	}
	if err != nil && d.err == nil {
		d.err = err
	}
}

// gone counts what was lost on the way.
func (d *Demuxer) gone() {
	if d.lost++; d.lost == 1 {
		d.w.Note(stream.Damaged)
	}
}
