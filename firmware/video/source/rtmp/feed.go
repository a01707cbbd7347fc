package rtmp

import (
	"log/slog"

	"tocsin/firmware/video/stream"
)

// A feed writes a publisher's messages to its stream.
type feed struct {
	w   *stream.Writer
	log *slog.Logger

	video, audio clock
	rec          record
	tell         bool  // the record's parameter sets were not handed over yet
	told         int64 // the picture that they were last handed over with
	broken       int

	heard    bool // sound came
	promised bool // sound was announced and did not come yet
	counting bool
	since    int64 // the first picture's time without it
}

// soundWait is how many ms of pictures may pass before it is said that sound does not come.
const soundWait = 2000

// A clock undoes the wrap of 32-bit milliseconds, once in 49.7 days (5.3).
type clock struct {
	last  uint32
	at    int64
	began bool
}

func (c *clock) tell(t uint32) int64 {
	if !c.began {
		c.began, c.at = true, int64(t)
	} else {
		c.at += int64(int32(t - c.last))
	}
	c.last = t
	return c.at
}

// picture takes a video message. What is broken is dropped and noted; an error ends the
// session: the source sends what is not carried, or the stream is at its end.
func (f *feed) picture(time uint32, body []byte) error {
	t, err := readVideo(body)
	if err != nil {
		return f.spoiled(err)
	}
	switch t.part {
	case partConfig:
		rec, err := readRecord(t.codec, t.data)
		if err != nil {
			return f.spoiled(err)
		}
		f.rec, f.tell = rec, true
		return nil
	case partFrames:
		return f.frames(time, t)
	}
	return nil
}

func (f *feed) frames(time uint32, t videoTag) error {
	decode := f.video.tell(time)
	size := 4 // of encoders that keep their parameter sets in the pictures
	if f.rec.codec == t.codec {
		size = f.rec.size
	}
	nals, err := split(t.data, size)
	if err != nil {
		// What came whole of it is shown: a decoder conceals more than nothing.
		if err := f.spoiled(err); err != nil {
			return err
		}
	}
	if len(nals) == 0 {
		return nil
	}
	show := decode + int64(t.shift)
	if f.rec.codec == t.codec && (f.tell || t.key && f.told != show) {
		f.tell, f.told = false, show
		if !hasSets(t.codec, nals) {
			nals = append(append(make([][]byte, 0, len(f.rec.sets)+len(nals)), f.rec.sets...), nals...)
		}
	}
	f.missing(decode)
	err = f.w.Picture(t.codec, show*90, decode*90, nals)
	if err != nil {
		return f.spoiled(err)
	}
	return nil
}

// missing notes that sound was announced and does not come with the pictures.
func (f *feed) missing(decode int64) {
	if !f.promised {
		return
	}
	if !f.counting || decode < f.since {
		f.counting, f.since = true, decode
	}
	if decode-f.since >= soundWait {
		f.promised = false
		f.w.Note(stream.SoundAbsent)
	}
}

func hasSets(codec stream.Codec, nals [][]byte) bool {
	for _, n := range nals {
		if setOf(codec, n) {
			return true
		}
	}
	return false
}

// sound takes an audio message.
func (f *feed) sound(time uint32, body []byte) error {
	t := readAudio(body)
	f.heard, f.promised = true, false
	if t.note != "" {
		f.w.Note(t.note)
	}
	if t.codec == stream.None || len(t.data) == 0 {
		return nil
	}
	if err := f.w.Sound(t.codec, f.audio.tell(time)*t.codec.Rate()/1000, t.data); err != nil {
		return f.spoiled(err)
	}
	return nil
}

// announced reads what onMetaData says is to come. Nothing is waited for because of it; that
// there will be no sound is said at once.
func (f *feed) announced(o object) {
	id := o.value("audiocodecid")
	if id == nil {
		return
	}
	f.promised = !f.heard
	if id == 10.0 || id == "mp4a" {
		f.w.Note(stream.AACDropped)
	}
}

// spoiled says what to do about an error of a message: nil where it is only dropped.
func (f *feed) spoiled(err error) error {
	switch err {
	case errTag, errRecord, errNALs, stream.ErrUnit:
	default:
		return err
	}
	if f.broken++; f.broken == 1 {
		f.log.Warn("rtmp: broken message dropped", "why", err)
		f.w.Note(stream.Damaged)
	}
	return nil
}
