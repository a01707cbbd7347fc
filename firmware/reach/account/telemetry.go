package account

import (
	"fmt"
	"slices"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
)

// Bounds of what a Telemetry remembers: of segments that the county has not, it can make so many anew.
const (
	closedMost = 256
	mendMost   = 16
	blockMost  = 1 << 16 // 128 rows of 32 channels, each worst, are less
	farAway    = 32      // of 64 numbers
)

// Report is a segment as it stands.
type Report struct {
	// Key names the segment: a later report of the same key says all that an earlier one did.
	Key string
	// First is the minute of its first row since 1970, Rows how many there are.
	First int64
	Rows  int
	// Long is the whole block. Short is the same for a narrow link, nil while the segment is open or has none.
	Long, Short []byte
}

// Telemetry gathers rows. One goroutine uses it.
type Telemetry struct {
	rules  Narrow
	d      Dictionaries
	narrow bool
	run    string
	n      int // segments so far

	enc    *wire.Encoder
	number int // of the last short block
	made   int // short blocks since one that built on nothing
	open   *segment
	closed []*segment // with a short form, and not with the county; oldest first
	broken bool       // the county may lack what the next would build on
	unfit  int
}

type segment struct {
	key    string
	first  int64
	dated  bool
	rows   [][]wire.Value
	short  []byte
	number int
}

// NewTelemetry makes one. narrow says that there is a link for short forms, run names this run of the box among
// all, and start is where the numbers of short blocks begin: far from those of the run before.
func NewTelemetry(r Narrow, d Dictionaries, narrow bool, run string, start int) (*Telemetry, error) {
	t := &Telemetry{rules: r, d: d, narrow: narrow, run: run}
	var err error
	if t.enc, err = wire.NewEncoder(d.Narrow.Wire(), r.Chain); err != nil {
		return nil, err
	}
	t.enc.StartAt(start)
	t.number = start - 1
	return t, nil
}

// Row takes what was measured at a minute, in the channels of the wide dictionary, and gives what is to be told: each report in
// place of earlier ones of its key. dated says that the minute is certain; without that there is no short form.
func (t *Telemetry) Row(minute int64, dated bool, row []wire.Value) ([]Report, error) {
	if len(row) != len(t.d.Wide.Channels) {
		return nil, phrase.E("account.row", "values", len(row), "channels", len(t.d.Wide.Channels))
	}
	var out []Report
	if s := t.open; s != nil && (minute != s.next(t.d.Wide.Step) || dated != s.dated || len(s.rows) == wire.StepsMost) {
		out = append(out, t.end()...)
	}
	out = append(out, t.mend()...)
	row = slices.Clone(row)
	if s := t.open; s != nil && t.shortens(s) && !t.fits(append(s.rows[:len(s.rows):len(s.rows)], row), s.first) {
		out = append(out, t.end()...)
	}
	if t.open == nil {
		if t.made >= t.rules.Key {
			t.enc.Forget()
			t.made = 0
		}
		t.open = t.begin(minute, dated)
	}
	s := t.open
	s.rows = append(s.rows, row)
	if t.shortens(s) && time.Duration(len(s.rows)*t.d.Wide.Step)*time.Minute >= t.rules.Within {
		if ended := t.end(); ended != nil {
			return append(out, ended...), nil
		}
	}
	return append(out, t.report(s)), nil
}

// Arrived tells that the county has a report, or its short form.
func (t *Telemetry) Arrived(key string, rows int, short bool) {
	if s := t.open; s != nil && s.key == key {
		if !short && rows >= len(s.rows) {
			t.open = nil
		}
		return
	}
	i := slices.IndexFunc(t.closed, func(s *segment) bool { return s.key == key && len(s.rows) == rows })
	if i < 0 {
		return
	}
	s := t.closed[i]
	t.closed = slices.Delete(t.closed, i, i+1)
	if short {
		t.enc.Acked(s.number)
		return
	}
	t.broken = true // the short form may never have gone out
}

// Unfit counts the segments of which not even one row fitted into a short form.
func (t *Telemetry) Unfit() int { return t.unfit }

func (s *segment) next(step int) int64 { return s.first + int64(len(s.rows)*step) }

func (t *Telemetry) begin(minute int64, dated bool) *segment {
	t.n++
	return &segment{key: fmt.Sprintf("t/%s/%d", t.run, t.n), first: minute, dated: dated}
}

func (t *Telemetry) shortens(s *segment) bool { return t.narrow && s.dated }

// narrowed is the rows in the narrow dictionary's channels.
func (t *Telemetry) narrowed(rows [][]wire.Value, first int64) wire.Series {
	n := len(t.d.Narrow.Channels)
	cut := make([][]wire.Value, len(rows))
	for i, r := range rows {
		cut[i] = r[:n]
	}
	return wire.Series{Minute: first, Step: t.d.Narrow.Step, Rows: cut}
}

// fits tells whether the rows go into one short block. Where not even one does there is none to wait for.
func (t *Telemetry) fits(rows [][]wire.Value, first int64) bool {
	n, err := t.enc.Fit(t.narrowed(rows, first), t.rules.Bytes)
	return err != nil || n == len(rows)
}

// end closes the open segment. What it gives takes the place of the last report; nothing where that said it all.
func (t *Telemetry) end() []Report {
	s := t.open
	t.open = nil
	if !t.shortens(s) {
		return nil
	}
	return t.settle(s)
}

// settle makes the short form of a segment. Where the rows do not fit any more, since what they were to build on is
// gone, the segment is parted.
func (t *Telemetry) settle(s *segment) (out []Report) {
	for s != nil {
		b, err := t.enc.Encode(t.narrowed(s.rows, s.first), t.rules.Bytes)
		if err != nil {
			t.unfit++
			s.short = nil
			return append(out, t.report(s))
		}
		var rest *segment
		if b.Rows < len(s.rows) {
			rest = t.begin(s.first+int64(b.Rows*t.d.Wide.Step), s.dated)
			rest.rows = s.rows[b.Rows:]
			s.rows = s.rows[:b.Rows:b.Rows]
		}
		s.short, s.number = b.Bytes, b.Number
		t.number = b.Number
		t.made++
		if t.closed = append(t.closed, s); len(t.closed) > closedMost {
			t.closed = slices.Delete(t.closed, 0, 1)
		}
		out = append(out, t.report(s))
		s = rest
	}
	return out
}

// mend makes the short forms anew that the county might not be able to read. Those of long ago wait for a wide link.
func (t *Telemetry) mend() (out []Report) {
	if !t.broken {
		return nil
	}
	t.broken = false
	t.enc.Forget()
	t.made = 0
	old := t.closed[max(0, len(t.closed)-mendMost):]
	t.closed = nil
	for _, s := range old {
		out = append(out, t.settle(s)...)
	}
	return out
}

func (t *Telemetry) report(s *segment) Report {
	r := Report{Key: s.key, First: s.first, Rows: len(s.rows), Short: s.short}
	e, err := wire.NewEncoder(t.d.Wide.Wire(), 0)
	if err == nil {
		e.StartAt(t.number + 1 + farAway)
		var b wire.Block
		b, err = e.EncodeAll(wire.Series{Minute: s.first, Step: t.d.Wide.Step, Rows: s.rows}, blockMost)
		r.Long = b.Bytes
	}
	if err != nil { // the dictionaries were proved, and rows are of good values
		panic(err)
	}
	return r
}
