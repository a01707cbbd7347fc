package pictures

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/video/recorder/shelf"
)

// bringing is how a station was asked for its clips. The room's lock guards it.
type bringing struct {
	asking  bool
	again   time.Time // not before, it is asked again
	tries   int
	refused error
}

// The waits of asking for clips.
const (
	bringMost  = 5 * time.Minute
	pruneEvery = time.Hour
)

// openShelf makes the shelf where the county wants clips.
func (p *Pictures) openShelf() (err error) {
	c := p.o.File.Pictures.Clips
	if c == nil {
		return nil
	}
	o := shelf.Opts{Dir: p.o.Shelf, Station: p.bringer, Now: p.o.Now, Arrived: p.came, Gone: p.went}
	o.Quota, o.Most, o.Reserve, o.Keep = c.Bounds()
	if p.shelf, err = shelf.Open(o); err != nil {
		return phrase.Wrap(err, "pictures.shelf", "dir", p.o.Shelf)
	}
	return nil
}

// fetch asks stations that have clips to bring them, and lets go what was kept long enough. The lock is held.
func (p *Pictures) fetch(ctx context.Context, now time.Time) {
	if p.shelf == nil {
		return
	}
	for id, t := range p.stations {
		b := p.brings[id]
		switch {
		case t.Clips == 0:
			if b != nil && !b.asking {
				delete(p.brings, id)
			}
		case now.Sub(t.at) > toldFor:
		case b == nil:
			b = &bringing{}
			p.brings[id] = b
			p.askClips(ctx, id, b, now)
		case !b.asking && !now.Before(b.again):
			p.askClips(ctx, id, b, now)
		}
	}
	if p.pruned.IsZero() || now.Sub(p.pruned) >= pruneEvery {
		p.pruned = now
		p.o.Guard.GoIn(ctx, "pictures", "prune", guard.Once, func(context.Context) error {
			p.shelf.Prune()
			return nil
		})
	}
}

// askClips asks one station. The lock is held.
func (p *Pictures) askClips(ctx context.Context, s letter.Station, b *bringing, now time.Time) {
	token, until := p.tokens.letBring(s, now)
	b.asking = true
	p.o.Guard.GoIn(ctx, "pictures", "bring", guard.Once, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, askIn)
		defer cancel()
		err := p.o.Ask.Ask(ctx, s, letter.Ask{Bring: &letter.Bring{URL: p.url + "/clips/" + string(s), Token: token, Until: until}})
		p.mu.Lock()
		defer p.mu.Unlock()
		b.asking, b.refused = false, err
		if err == nil {
			b.tries, b.again = 0, p.o.Now().Add(letter.TokenFor/2) // before the token ends
			return nil
		}
		b.again = p.o.Now().Add(min(pauseFirst<<min(b.tries, 8), bringMost))
		b.tries++
		p.o.Log.Info("a station was asked for its clips", "station", s, "err", err)
		return nil
	})
}

// bringer tells who brings a clip.
func (p *Pictures) bringer(r *http.Request) (string, bool) {
	s := r.PathValue("station")
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.tokens.of(bearer(r))
	return s, g != nil && g.bring && string(g.key.station) == s && p.o.Now().Before(g.until)
}

// takeClip handles what a station brings.
func (p *Pictures) takeClip(w http.ResponseWriter, r *http.Request) {
	if p.shelf == nil {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	q, u := *r, *r.URL
	u.Path, u.RawPath = "/"+r.PathValue("clip"), ""
	q.URL = &u
	p.shelf.ServeHTTP(w, &q)
}

// came writes down that a clip is whole: only then the station is told so.
func (p *Pictures) came(e shelf.Entry) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeIn)
	defer cancel()
	err := p.o.Diary.Note(ctx, p.entryOf(Came, e))
	if err != nil {
		p.o.Log.Error("a clip came and cannot be written down; the station is to ask again", "station", e.Station, "clip", e.Clip.ID, "err", err)
	}
	return err
}

// went writes down that a clip is no more here.
func (p *Pictures) went(e shelf.Entry, why shelf.Why) {
	ctx, cancel := context.WithTimeout(context.Background(), writeIn)
	defer cancel()
	n := p.entryOf(Went, e)
	n.Failed = map[shelf.Why]phrase.Message{shelf.Age: phrase.M("pictures.gone_age"), shelf.Room: phrase.M("pictures.gone_room")}[why]
	if err := p.o.Diary.Note(ctx, n); err != nil {
		p.o.Log.Error("that a clip went is not written down", "station", e.Station, "clip", e.Clip.ID, "err", err)
	}
}

// entryOf is what the diary keeps of a clip. Its id is the same whenever the same is told again.
func (p *Pictures) entryOf(kind string, e shelf.Entry) Entry {
	sum := sha256.Sum256([]byte(kind + " " + e.Station + " " + e.Clip.ID + " " + e.Clip.SHA256))
	now := p.o.Now().UTC()
	return Entry{ID: kind + "-" + base64.RawURLEncoding.EncodeToString(sum[:16]), Kind: kind, Station: letter.Station(e.Station), Stream: e.Clip.Stream,
		Clip: e.Clip.ID, Cause: e.Clip.Cause, SHA256: e.Clip.SHA256, Bytes: e.Clip.Size, From: now, To: now}
}

// ClipState is one clip for the page.
type ClipState struct {
	Key   string `json:"key"` // station/id
	At    string `json:"at"`
	Where string `json:"where"` // station and stream
	What  string `json:"what"`  // the alarm
	Much  string `json:"much"`  // how long, how large
	State string `json:"state"`
	Whole bool   `json:"whole,omitempty"`
	May   bool   `json:"may,omitempty"`
	Sum   string `json:"sum,omitempty"` // SHA-256
}

// ShelfState is how full the shelf is, and for how long clips stay.
type ShelfState struct {
	Text string `json:"text"`
}

// clipsShown is how many clips the page lists.
const clipsShown = 100

// shelved lists the clips for somebody with these roles.
func (p *Pictures) shelved(out *State, l phrase.Lang, roles []string) {
	if p.shelf == nil {
		return
	}
	used, quota := p.shelf.Used()
	_, _, _, keep := p.o.File.Pictures.Clips.Bounds()
	all := p.shelf.List()
	out.Shelf = &ShelfState{Text: phrase.M("pictures.shelf_state", "n", len(all), "used", sized(used), "quota", sized(quota), "days", int(keep/(24*time.Hour))).In(l)}
	for _, e := range all[:min(len(all), clipsShown)] {
		out.Clips = append(out.Clips, p.clipState(e, l, roles))
	}
}

// clipState tells of one clip.
func (p *Pictures) clipState(e shelf.Entry, l phrase.Lang, roles []string) ClipState {
	view := p.o.File.Pictures.ViewOf(letter.Station(e.Station), e.Clip.Stream)
	v := ClipState{Key: e.Station + "/" + e.Clip.ID, At: p.when(e.When()), Where: join(p.name(letter.Station(e.Station), l), p.streamName(e, l)), What: e.Clip.Title.In(l),
		Much: phrase.M("pictures.clip_much", "seconds", int((e.Clip.Last-e.Clip.First)/time.Second), "size", sized(e.Clip.Size)).In(l), Whole: e.Whole(), May: view.MaySee(roles)}
	if v.What == "" {
		v.What = e.Clip.Cause
	}
	if e.Whole() {
		v.State, v.Sum = phrase.M("pictures.clip_whole", "at", p.when(e.Arrived)).In(l), e.Clip.SHA256
	} else {
		v.State = phrase.M("pictures.clip_part", "percent", int(e.Bytes*100/e.Clip.Size)).In(l)
	}
	if e.Clip.Gap >= time.Second {
		v.State = join(v.State, phrase.M("pictures.clip_gap", "seconds", int(e.Clip.Gap/time.Second)).In(l))
	}
	if !v.May {
		v.State = join(v.State, phrase.M("pictures.state_barred").In(l))
	}
	return v
}

// streamName is what the station calls a clip's stream now.
func (p *Pictures) streamName(e shelf.Entry, l phrase.Lang) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x, ok := p.has(letter.Station(e.Station), e.Clip.Stream); ok && x.Title.In(l) != "" {
		return x.Title.In(l)
	}
	return e.Clip.Stream
}

// sized is a number of bytes for people.
func sized(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%.0f GB", float64(n)/(1<<30))
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
	case n >= 10<<20:
		return fmt.Sprintf("%.0f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
}
