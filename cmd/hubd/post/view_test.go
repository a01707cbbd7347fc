package post

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/reach/letter"
)

// message is one of a stream, with no server behind it.
type message struct {
	jetstream.Msg
	subject string
	header  nats.Header
}

func (m message) Subject() string      { return m.subject }
func (m message) Headers() nats.Header { return m.header }

// The two streams are read each at its own pace: in whatever order their messages come, what was taken is shown.
func TestWhatWasTakenIsShownInWhateverOrderTheStreamsAreRead(t *testing.T) {
	const upper, lower = letter.Station("330483105203"), letter.Station("330483105204")
	sent, taken := time.Unix(100, 0), time.Unix(200, 0)
	header := func(key, value string) nats.Header {
		h := nats.Header{}
		h.Set(key, value)
		return h
	}
	for _, order := range []string{"ult", "utl", "tul"} {
		var p Post
		v := &p.view
		v.make(&hubfile.File{Stations: map[string]hubfile.Station{string(upper): {}, string(lower): {}}})
		seq := map[string]uint64{}
		meta := func(stream string, at time.Time) *jetstream.MsgMetadata {
			seq[stream]++
			return &jetstream.MsgMetadata{Stream: stream, Timestamp: at, Sequence: jetstream.SequencePair{Stream: seq[stream]}}
		}
		for _, step := range order {
			switch step {
			case 'u':
				v.down(message{subject: upper.Down(letter.Warning), header: header(letter.HeaderID, "w")}, meta(letter.StreamDown, sent))
			case 'l':
				v.down(message{subject: lower.Down(letter.Warning), header: header(letter.HeaderID, "w")}, meta(letter.StreamDown, sent))
			case 't':
				v.receipt(message{subject: lower.Taken("w"), header: header(letter.HeaderLink, "mesh")}, meta(letter.StreamReceipt, taken))
			}
		}
		to := p.State().Sent[0].To
		if got := to[lower]; len(to) != 2 || got.Link != "mesh" || !got.At.Equal(taken) {
			t.Errorf("%s: %+v", order, to)
		}
	}
}
