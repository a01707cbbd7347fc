package beacon

import (
	"cmp"
	"crypto"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/trust"
)

// Upstream is a station that is believed.
type Upstream struct {
	Name    phrase.Text
	Number  uint16
	Key     crypto.PublicKey
	Effects map[uint8]Effect // by row of the hazards
}

// Effect is what a hazard of an upstream station does here.
type Effect struct {
	Hazard string // of this site
	Levels []Step
	// Travel is how long what it measured takes to get here, Lasts how much longer
	// than that the level stands here.
	Travel, Lasts time.Duration
}

// Step gives the level for a rank, and for those above it up to the next step.
type Step struct {
	Rank  uint8
	Level point.Level
}

func (e Effect) level(rank uint8) point.Level {
	l := point.Calm
	for _, s := range e.Levels {
		if s.Rank <= rank {
			l = max(l, s.Level)
		}
	}
	return l
}

// Opts are a Keeper's.
type Opts struct {
	Self     uint16 // this station's number; 0: it has none
	Upstream []Upstream
	Relay    bool
}

// The bounds. They are of the format, not of a county.
const (
	ahead        = 10 * time.Minute // a clock that runs before ours
	behind       = 2 * time.Hour    // without a trusted clock: before the newest of the station
	searchDays   = 400
	digestsMost  = 64 // of a station
	relayHour    = 12 // of one station in an hour
	relayAllHour = 30
)

// Outcome says what became of a message.
type Outcome uint8

// The outcomes.
const (
	Raised   Outcome = iota // it holds up a level here
	Heard                   // genuine, and of no hazard or rank that does something here
	Drill                   // genuine: an exercise
	Again                   // counted before
	Own                     // this station's
	Unknown                 // of a station that the site does not name
	Unsigned                // not what it claims to be
	Old                     // too old, or too far ahead
	NoForm                  // not the form of a beacon
)

var outcomeNames = [...]string{"raised", "heard", "drill", "again", "own", "unknown", "unsigned", "old", "no_form"}

// String gives the outcome's code.
func (o Outcome) String() string { return outcomeNames[min(int(o), len(outcomeNames)-1)] }

// Result is what a message did.
type Result struct {
	Outcome  Outcome
	Message  Message
	Upstream phrase.Text // its station's name, where it is known
	Issued   time.Time
	// Relay: pass it on as it is.
	Relay bool
}

// Stood is a level that stands here by the word of a station upstream.
type Stood struct {
	Hazard   string
	Level    point.Level
	Number   uint16
	Upstream phrase.Text
	Issued   time.Time
	// Arrives is when what was measured is expected here.
	Arrives time.Time
}

// Keeper keeps what was heard and what stands. One goroutine uses it.
type Keeper struct {
	o       Opts
	s       state
	relayed map[uint16][]time.Duration
}

// state is what is kept over power cuts.
type state struct {
	Version  int                 `json:"version"`
	Stations map[uint16]*heardOf `json:"stations,omitempty"`
	Stands   []stands            `json:"stands,omitempty"`
}

type heardOf struct {
	Newest  time.Time `json:"newest"`
	Digests [][]byte  `json:"digests"` // oldest first
}

type stands struct {
	Number uint16        `json:"number"`
	Hazard uint8         `json:"hazard"`
	Rank   uint8         `json:"rank"`
	Issued time.Time     `json:"issued"`
	From   clock.Stamp   `json:"from"`
	For    time.Duration `json:"for"`
}

// standsMost bounds what stands: each station has sixteen ranks of 256 hazards, and only
// those with an effect are kept.
const standsMost = 256

// New makes one.
func New(o Opts) *Keeper {
	return &Keeper{o: o, s: state{Version: 1, Stations: map[uint16]*heardOf{}}, relayed: map[uint16][]time.Duration{}}
}

// Set takes a site's new options. What stands by a station or an effect that is no more ends.
func (k *Keeper) Set(o Opts) {
	k.o = o
	k.s.Stands = slices.DeleteFunc(k.s.Stands, func(s stands) bool {
		_, e := k.effect(s.Number, s.Hazard)
		return e == nil
	})
	maps.DeleteFunc(k.s.Stations, func(n uint16, _ *heardOf) bool { return k.find(n) == nil })
}

func (k *Keeper) find(number uint16) *Upstream {
	for i := range k.o.Upstream {
		if k.o.Upstream[i].Number == number {
			return &k.o.Upstream[i]
		}
	}
	return nil
}

func (k *Keeper) effect(number uint16, hazard uint8) (*Upstream, *Effect) {
	u := k.find(number)
	if u == nil {
		return nil, nil
	}
	if e, ok := u.Effects[hazard]; ok {
		return u, &e
	}
	return u, nil
}

// Take judges a message. now.Trust tells whether the clock is believed; floor is a time that
// is certainly past. What Kept gives must be kept before anything is done about it.
func (k *Keeper) Take(b []byte, now clock.Stamp, floor time.Time) Result {
	var r Result
	if !Is(b) {
		r.Outcome = NoForm
		return r
	}
	var err error
	if r.Message, err = Unpack(b[:BodySize]); err != nil {
		r.Outcome = NoForm
		return r
	}
	m := r.Message
	if m.Station == k.o.Self {
		r.Outcome = Own
		return r
	}
	u, e := k.effect(m.Station, m.Hazard)
	if u == nil {
		r.Outcome = Unknown
		return r
	}
	r.Upstream = u.Name
	had := k.s.Stations[m.Station]
	// The digest is over the 14 bytes and the day, not the signature: of one body there may be many signatures.
	known := func(day int64) []byte {
		d, err := signed(b[:BodySize], u.Key, day)
		if err != nil {
			return nil
		}
		sum := sha256.Sum256(d)
		return sum[:8]
	}
	day, ok := k.verify(b, u, now, floor)
	if !ok {
		r.Outcome = Unsigned
		return r
	}
	r.Issued = time.Unix(day*86400+int64(m.Minute)*60, 0).UTC()
	digest := known(day)
	if had != nil && slices.ContainsFunc(had.Digests, func(d []byte) bool { return string(d) == string(digest) }) {
		r.Outcome = Again
		return r
	}
	lasts := time.Duration(m.Lasts) * 10 * time.Minute
	if e != nil {
		lasts += e.Travel + e.Lasts
	}
	age := time.Duration(0)
	if now.Trust > clock.Free {
		age = now.Wall.Sub(r.Issued)
		if age > lasts || age < -ahead {
			r.Outcome = Old
			return r
		}
		age = max(0, age)
	} else if r.Issued.Before(floor.Add(-behind)) {
		r.Outcome = Old
		return r
	}
	if had != nil && r.Issued.Before(had.Newest.Add(-behind)) {
		r.Outcome = Old
		return r
	}
	if had == nil {
		had = &heardOf{}
		k.s.Stations[m.Station] = had
	}
	if had.Newest.Before(r.Issued) {
		had.Newest = r.Issued
	}
	had.Digests = append(had.Digests, digest)
	if n := len(had.Digests) - digestsMost; n > 0 {
		had.Digests = slices.Delete(had.Digests, 0, n)
	}
	r.Relay = k.mayRelay(m.Station, now.Mono)
	switch {
	case m.Drill:
		r.Outcome = Drill
	case e == nil || e.level(m.Rank) == point.Calm:
		r.Outcome = Heard
	default:
		r.Outcome = Raised
		k.stand(stands{m.Station, m.Hazard, m.Rank, r.Issued, now, lasts - age})
	}
	return r
}

// stand takes in what stands, and keeps of one station, hazard and rank the one that lasts longest.
func (k *Keeper) stand(n stands) {
	for i, s := range k.s.Stands {
		if s.Number == n.Number && s.Hazard == n.Hazard && s.Rank == n.Rank {
			left, _ := n.From.Since(s.From)
			if s.For-left < n.For {
				k.s.Stands[i] = n
			}
			return
		}
	}
	if len(k.s.Stands) >= standsMost {
		// The lowest rank gives way.
		low := slices.MinFunc(k.s.Stands, func(a, b stands) int { return cmp.Compare(a.Rank, b.Rank) })
		if low.Rank >= n.Rank {
			return
		}
		k.s.Stands = slices.DeleteFunc(k.s.Stands, func(s stands) bool { return s == low })
	}
	k.s.Stands = append(k.s.Stands, n)
}

// verify gives the day whose signature holds.
func (k *Keeper) verify(b []byte, u *Upstream, now clock.Stamp, floor time.Time) (int64, bool) {
	alg, ok := algorithm(u.Key)
	if !ok {
		return 0, false
	}
	bits := int64(b[3] >> 5)
	try := func(day int64) bool {
		if day < 0 || day&7 != bits {
			return false
		}
		m, err := signed(b[:BodySize], u.Key, day)
		return err == nil && trust.Verify(u.Key, alg, m, b[BodySize:]) == nil
	}
	today := dayOf(now.Wall)
	for d := today + 1; d >= today-6; d-- { // each of the three bits' values once
		if try(d) {
			return d, true
		}
	}
	if now.Trust > clock.Free {
		return 0, false
	}
	first := dayOf(floor) - 1
	for d := first; d < first+searchDays; d++ {
		if try(d) {
			return d, true
		}
	}
	return 0, false
}

// mayRelay counts a message that is passed on.
func (k *Keeper) mayRelay(station uint16, now time.Duration) bool {
	if !k.o.Relay {
		return false
	}
	all := 0
	for n, at := range k.relayed {
		at = slices.DeleteFunc(at, func(t time.Duration) bool { return now-t >= time.Hour })
		if len(at) == 0 {
			delete(k.relayed, n)
			continue
		}
		k.relayed[n] = at
		all += len(at)
	}
	if all >= relayAllHour || len(k.relayed[station]) >= relayHour {
		return false
	}
	k.relayed[station] = append(k.relayed[station], now)
	return true
}

// Standing lets time pass and gives what stands, of each hazard here the highest, sorted by
// hazard.
func (k *Keeper) Standing(now clock.Stamp) []Stood {
	k.s.Stands = slices.DeleteFunc(k.s.Stands, func(s stands) bool {
		d, _ := now.Since(s.From)
		return d >= s.For
	})
	highest := map[string]Stood{}
	for _, s := range k.s.Stands {
		u, e := k.effect(s.Number, s.Hazard)
		if e == nil {
			continue
		}
		n := Stood{Hazard: e.Hazard, Level: e.level(s.Rank), Number: s.Number, Upstream: u.Name, Issued: s.Issued, Arrives: s.Issued.Add(e.Travel)}
		// Of two of one level, the one that is expected here first says why.
		if h, ok := highest[e.Hazard]; n.Level > point.Calm && (!ok || h.Level < n.Level || h.Level == n.Level && n.Arrives.Before(h.Arrives)) {
			highest[e.Hazard] = n
		}
	}
	return slices.SortedFunc(maps.Values(highest), func(a, b Stood) int { return cmp.Compare(a.Hazard, b.Hazard) })
}

// Kept gives what must be kept.
func (k *Keeper) Kept() ([]byte, error) { return json.Marshal(k.s) }

// keptMost bounds what Restore reads.
const keptMost = 1 << 20

// Restore takes back what was kept, with what was taken since.
func (k *Keeper) Restore(b []byte) error {
	var s state
	if len(b) > keptMost {
		return phrase.E("beacon.kept")
	}
	if err := json.Unmarshal(b, &s); err != nil || s.Version != 1 {
		return phrase.E("beacon.kept")
	}
	for n, h := range s.Stations {
		if h == nil || len(h.Digests) > digestsMost || k.find(n) == nil {
			continue
		}
		if since := k.s.Stations[n]; since != nil {
			h.Digests = append(h.Digests, since.Digests...)
			h.Digests = h.Digests[max(0, len(h.Digests)-digestsMost):]
			if h.Newest.Before(since.Newest) {
				h.Newest = since.Newest
			}
		}
		k.s.Stations[n] = h
	}
	for _, x := range s.Stands {
		if _, e := k.effect(x.Number, x.Hazard); e != nil && x.For >= 0 && x.For <= 30*24*time.Hour && x.Rank >= 1 && x.Rank <= 15 {
			k.stand(x)
		}
	}
	return nil
}

// Merge gives what was kept in two places as one: what was heard by either counts as heard, and of what stands
// what was issued later does. It judges nothing; Restore does.
func Merge(own, other []byte) ([]byte, error) {
	var s, o state
	for _, x := range []struct {
		b  []byte
		to *state
	}{{own, &s}, {other, &o}} {
		if len(x.b) > keptMost || json.Unmarshal(x.b, x.to) != nil || x.to.Version != 1 {
			return nil, phrase.E("beacon.kept")
		}
	}
	if s.Stations == nil {
		s.Stations = map[uint16]*heardOf{}
	}
	for n, h := range o.Stations {
		had := s.Stations[n]
		if h == nil || had == nil {
			if h != nil {
				s.Stations[n] = h
			}
			continue
		}
		older, newer := had, h
		if newer.Newest.Before(older.Newest) {
			older, newer = newer, older
		}
		all := slices.DeleteFunc(older.Digests, func(d []byte) bool {
			return slices.ContainsFunc(newer.Digests, func(x []byte) bool { return string(x) == string(d) })
		})
		all = append(all, newer.Digests...)
		s.Stations[n] = &heardOf{Newest: newer.Newest, Digests: all[max(0, len(all)-digestsMost):]}
	}
	for _, x := range o.Stands {
		i := slices.IndexFunc(s.Stands, func(y stands) bool { return x.Number == y.Number && x.Hazard == y.Hazard && x.Rank == y.Rank })
		switch {
		case i < 0 && len(s.Stands) < standsMost:
			s.Stands = append(s.Stands, x)
		case i >= 0 && s.Stands[i].Issued.Before(x.Issued):
			s.Stands[i] = x
		}
	}
	return json.Marshal(s)
}
