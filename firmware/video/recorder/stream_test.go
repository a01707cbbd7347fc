package recorder

import (
	"bytes"
	"context"
	"testing"
	"time"

	"tocsin/firmware/video/stream"
)

// TestWhatAStreamGivesIsRecorded goes the whole way: a source's writer, the stream, its
// reader, the disk.
func TestWhatAStreamGivesIsRecorded(t *testing.T) {
	for _, c := range []stream.Codec{stream.H264, stream.H265} {
		t.Run(c.String(), func(t *testing.T) {
			w := newWorld()
			s := stream.New(stream.Opts{Name: "cam", Now: func() time.Duration { return w.Now().Mono }})
			in, err := s.Open("test")
			if err != nil {
				t.Fatal(err)
			}
			r := recordIn(t, w, t.TempDir(), nil)
			done := make(chan error, 1)
			from := s.Reader(stream.ReaderOpts{Name: "recorder", Sound: true})
			given := make(chan *stream.Unit)
			go func() { done <- r.Run(context.Background(), &told{from, given}) }()
			pictures, late := access(t, c)
			begin := w.Now().Mono
			payload := bytes.Repeat([]byte{0xd5}, 320)
			for i := range 200 {
				k := i % len(pictures)
				w.at(begin + time.Duration(i)*40*time.Millisecond)
				dts := int64(1<<33) - 1000 + int64(i)*3600
				if err := in.Picture(c, dts+int64(late[k])*3600, dts, pictures[k]); err != nil {
					t.Fatal(err)
				}
				<-given // virtual time waits for the reader; real time would not
				if err := in.Sound(stream.PCMA, int64(i)*320, payload); err != nil {
					t.Fatal(err)
				}
				<-given
			}
			in.Close(nil)
			s.End()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			r.settle()
			r.stop()
			var shots []shot
			for _, p := range segments(t, r.dir) {
				_, all, err := readBack(readFile(t, p))
				if err != nil {
					t.Fatal(err)
				}
				shots = append(shots, all...)
			}
			n, sounds := 0, 0
			var last int64
			for _, x := range shots {
				if x.track == soundTrack {
					sounds++
					continue
				}
				k := n % len(pictures)
				want := pictures[k][len(pictures[k])-1]
				if !bytes.Equal(x.nals[len(x.nals)-1], want) || x.shown-x.decode < 0 || x.decode < last || x.key != (k%25 == 0) {
					t.Fatalf("picture %d at %d, shown %d later, key %v: %d units, last of %d bytes, want %d", n, x.decode, x.shown-x.decode, x.key, len(x.nals), len(x.nals[len(x.nals)-1]), len(want))
				}
				last = x.decode
				n++
			}
			if n < 199 || sounds < 150 {
				t.Errorf("%d pictures of 200, %d sounds", n, sounds)
			}
		})
	}
}

// told tells of every unit that the recorder takes.
type told struct {
	from  Units
	given chan *stream.Unit
}

func (x *told) Next(ctx context.Context) (*stream.Unit, error) {
	u, err := x.from.Next(ctx)
	if err == nil {
		x.given <- u
	}
	return u, err
}
