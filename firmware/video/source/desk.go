package source

import (
	"net/netip"

	"tocsin/firmware/video/stream"
)

// An Asker wants to publish.
type Asker struct {
	Way    string         // rtmp, rtsp, srt, ts, whip, gb28181
	Stream string         // the stream's name, where the way tells one
	Key    string         // the secret of that stream; a way that has a user and a password gives the password
	Remote netip.AddrPort // of whom
}

// A Desk decides who may publish, and to which stream. It compares keys in constant
// time, knows one publisher for a stream at a time and slows down who guesses. The
// error is a phrase: what is wrong and the mend. The Writer is closed by who asked.
type Desk interface {
	Publish(Asker) (*stream.Writer, error)
}
