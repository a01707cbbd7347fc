package relay

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/pion/rtp"
)

func TestAFilmIsCutAtFirstSlices(t *testing.T) {
	b := []byte{0, 0, 0, 1}
	for _, n := range [][]byte{{0x67, 1, 2}, {0x68, 3, 4}, {0x65, 0x80, 5}, {0x41, 0x80, 6}, {0x41, 0x10, 7}} {
		b = append(append(b, n...), 0, 0, 1)
	}
	f, err := NewFilm(b)
	if err != nil || len(f.Pictures) != 2 || len(f.Pictures[0]) != 3 || len(f.Pictures[1]) != 2 {
		t.Fatalf("%v, %v", f, err)
	}
	if i, ok := f.find([]byte{0x41, 0x80, 6}); !ok || i != 1 {
		t.Errorf("the second picture is found as %d, %v", i, ok)
	}
	if _, ok := f.find([]byte{0x41, 0x80, 9}); ok {
		t.Error("a slice that is not in the film is found")
	}
	if _, err := NewFilm([]byte("no film")); err == nil {
		t.Error("what holds no picture is taken")
	}
}

func TestPicturesAlikeAreNotTimed(t *testing.T) {
	f, err := NewFilm([]byte{0, 0, 1, 0x65, 0x80, 5, 0, 0, 1, 0x65, 0x80, 5})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := f.find([]byte{0x65, 0x80, 5}); ok {
		t.Error("one of two alike is known again")
	}
}

func TestAViewerCountsWhatIsMissingAndWhatCameLate(t *testing.T) {
	b := []byte{0, 0, 1, 0x65, 0x80, 5, 0, 0, 1, 0x41, 0x80, 6}
	f, err := NewFilm(b)
	if err != nil {
		t.Fatal(err)
	}
	table, err := NewTable(filepath.Join(t.TempDir(), "t"), 2)
	if err != nil {
		t.Fatal(err)
	}
	table.set(0, 1_000_000)
	table.set(1, 2_000_000)
	v := &Viewer{viewing: Viewing{Film: f, Table: table}, firstAge: -1, first: make(chan struct{}), live: make(chan struct{})}
	now := time.Now()
	send := func(seq uint16, slice []byte, at int64) {
		v.packet(&rtp.Packet{Header: rtp.Header{SequenceNumber: seq, Timestamp: uint32(seq), Marker: true}, Payload: slice}, now, at)
	}
	idr, other := []byte{0x65, 0x80, 5}, []byte{0x41, 0x80, 6}
	send(65534, other, 3_000_000) // before the first IDR: counted, not the first picture
	if v.started {
		t.Error("a picture that cannot be decoded is the first")
	}
	send(65535, idr, 4_000_000)
	if !v.started || v.firstAge != 3*time.Millisecond || v.lively.IsZero() {
		t.Errorf("started %v, age %v", v.started, v.firstAge)
	}
	send(1, other, 5_000_000) // 0 is missing,
	send(0, other, 6_000_000) // and comes late
	if c := v.Count(); c.Gaps != 1 || c.Lost != 0 || c.Pictures != 4 || len(c.Delays) != 4 {
		t.Errorf("%+v", c)
	}
	send(3, other, 7_000_000) // 2 never comes
	now = now.Add(patience)
	send(4, other, 8_000_000)
	if c := v.Count(); c.Gaps != 2 || c.Lost != 1 || c.Packets != 6 || c.Pictures != 5 {
		t.Errorf("%+v", c)
	}
	v.Begin()
	send(5, other, 9_000_000)
	if c := v.Count(); c.Lost != 0 || c.Packets != 1 || c.Pictures != 1 {
		t.Errorf("after a new count: %+v", c)
	}
}
