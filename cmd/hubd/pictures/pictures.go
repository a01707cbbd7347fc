package pictures

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/relay"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/video/recorder/shelf"
	"tocsin/firmware/video/stream"
)

// Media is WebRTC.
type Media interface {
	// View answers a viewer's offer with a stream's pictures; who is for lists.
	View(ctx context.Context, s *stream.Stream, offer, who string) (answer string, c Call, err error)
	// Publish answers a station's offer, opens the stream when that is in order, and writes
	// what comes until the call ends, with which the writer is closed.
	Publish(ctx context.Context, offer, who string, open func() (*stream.Writer, error)) (answer string, c Call, err error)
}

// Call is one WebRTC connection.
type Call interface {
	Done() <-chan struct{}
	Close()
}

// Asker asks a station, and waits for its answer.
type Asker interface {
	Ask(ctx context.Context, s letter.Station, a letter.Ask) error
}

// Talker carries an officer's voice to a station's loudspeaker.
type Talker interface {
	// Talk begins; an error says why it cannot.
	Talk(ctx context.Context, s letter.Station, who, why string) (Voice, error)
}

// Voice is one that goes out: A-law, 8 kHz, one channel (G.711).
type Voice interface {
	Write(alaw []byte) (int, error)
	Close() error
}

// Opts are the room's.
type Opts struct {
	File  *hubfile.File
	Media Media
	Ask   Asker
	Diary *Diary
	// Relay is TURN; nil where there is none. Talk is nil where nobody can speak.
	Relay *relay.Relay
	Talk  Talker
	// Who tells who a viewer is: the console's sign-in.
	Who func(*http.Request) (name string, roles []string)
	// Until gives what ends with a viewer's sign-in: their pictures and voice end, too. Nil for never.
	Until func(*http.Request) context.Context
	Guard *guard.Guard
	Log   *slog.Logger
	Zone  *time.Location
	Now   func() time.Time
	Mono  func() time.Duration
	// Shelf is the folder for stations' alarm clips.
	Shelf string
}

// Pictures is the room. Use New, then Run; WHIP and Page are its handlers.
type Pictures struct {
	o   Opts
	url string // how stations reach WHIP

	mu       sync.Mutex
	stations map[letter.Station]*told
	feeds    map[feedKey]*feed
	tokens   tokens
	calls    map[string]*viewing // by the end of their address
	pushes   map[string]*feed    // the same, of stations
	talks    map[string]*talk
	shelf    *shelf.Shelf // nil where the county has no clips
	brings   map[letter.Station]*bringing
	films    map[string]*film
	pruned   time.Time
	kick     chan struct{}
	legs     []relay.Leg
	legsAt   time.Time
}

// told is what a station said of its pictures.
type told struct {
	letter.Catalogue
	at time.Time
}

// The bounds.
const (
	viewsMost     = 400 // viewings at once
	viewsEachMost = 12  // of one officer
	feedsMost     = 200
	toldFor       = 3 * time.Minute // a catalogue that is older is shown as old
)

// New makes the room; url is how stations reach its WHIP handler.
func New(o Opts, url string) (*Pictures, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	p := &Pictures{o: o, url: url, stations: map[letter.Station]*told{}, feeds: map[feedKey]*feed{}, tokens: tokens{},
		calls: map[string]*viewing{}, pushes: map[string]*feed{}, talks: map[string]*talk{}, kick: make(chan struct{}, 1),
		brings: map[letter.Station]*bringing{}, films: map[string]*film{}}
	return p, p.openShelf()
}

// Told takes in what a station tells of its pictures.
func (p *Pictures) Told(s letter.Station, b []byte) error {
	if _, ok := p.o.File.Stations[string(s)]; !ok {
		return phrase.E("pictures.station", "station", string(s))
	}
	c, err := letter.ParseCatalogue(b)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stations[s] = &told{c, p.o.Now()}
	return nil
}

// has gives what a station told of a stream.
func (p *Pictures) has(s letter.Station, name string) (letter.StreamOf, bool) {
	if t := p.stations[s]; t != nil {
		for _, x := range t.Streams {
			if x.Name == name {
				return x, true
			}
		}
	}
	return letter.StreamOf{}, false
}

// lookEach is how often feeds are looked at when nothing happens.
const lookEach = time.Second

// Run keeps the feeds until ctx ends.
func (p *Pictures) Run(ctx context.Context) error {
	t := time.NewTicker(lookEach)
	defer t.Stop()
	for {
		p.look(ctx)
		select {
		case <-ctx.Done():
			p.closeAll()
			p.endFilms()
			return ctx.Err()
		case <-t.C:
		case <-p.kick:
		}
	}
}

func (p *Pictures) wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}
