package gateway

import (
	"context"
	"time"

	"tocsin/firmware/reach/letter"
)

// Gateway carries letters by one kind of link until ctx ends.
type Gateway interface {
	Name() string
	Run(ctx context.Context) error
	// Left are the stations that it does not serve.
	Left() []LeftOut
}

// LeftOut is a station that a gateway does not serve, and why: what is kept against replays of it is damaged. All
// others are served.
type LeftOut struct {
	Station letter.Station
	Why     error
}

// Post is what a gateway asks of the post office.
type Post interface {
	// Up keeps a letter; nil when it is on the disk.
	Up(ctx context.Context, s letter.Station, l *letter.Letter) error
	// Short is Up for a short form: once for each link.
	Short(ctx context.Context, s letter.Station, l *letter.Letter) error
	// Down gives what a station has not taken, and what comes, until ctx ends.
	Down(ctx context.Context, s letter.Station, give func(letter.Letter)) error
	// Taken notes that a station took a letter, HasTaken tells it.
	Taken(ctx context.Context, s letter.Station, id, link string) error
	HasTaken(ctx context.Context, s letter.Station, id string) bool
	// Heard notes that a station is there.
	Heard(s letter.Station, link string, at time.Time)
}
