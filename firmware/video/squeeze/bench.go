package squeeze

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/video"
	"tocsin/firmware/video/stream"
	"tocsin/firmware/video/terms"
	"tocsin/firmware/video/whep"
)

// Opts is what a bench needs.
type Opts struct {
	RTSP   string // where the stream is published, as "drone"
	Key    string // with which
	FFmpeg string // makes stills
	Rules  string // video.yaml
	Log    io.Writer
}

// Seen is one picture at the county.
type Seen struct {
	At    time.Duration // when it was there to be shown
	Time  time.Duration // by the source's clock, of a picture
	Key   bool
	Still []byte // nil: a picture of the stream
}

// Push is what the box says at one moment of its push.
type Push struct {
	At  time.Duration
	Why string // of its rung
	terms.PushState
}

// Bench is a box and a county.
type Bench struct {
	clock   clock.Clock
	guard   *guard.Guard
	end     context.CancelFunc
	control string
	web     *whep.Server
	stream  *stream.Stream
	http    *httptest.Server
	box     chan error
}

// New starts both.
func New(ctx context.Context, o Opts) (*Bench, error) {
	b := &Bench{clock: clock.NewSystem(time.Now(), clock.Set), box: make(chan error, 1)}
	ctx, b.end = context.WithCancel(ctx)
	b.guard = guard.New(ctx, slog.New(slog.DiscardHandler), func(guard.Event) {})
	var err error
	if b.web, err = whep.New(whep.Opts{Now: b.Now, Start: b.guard.Starter("county"), Listen: "127.0.0.1:0", Loopback: true}); err != nil {
		b.end()
		return nil, err
	}
	b.stream = stream.New(stream.Opts{Name: "drone", Now: b.Now})
	m := http.NewServeMux()
	m.HandleFunc("POST /whip", b.publish)
	m.HandleFunc("/whip/{id}", func(w http.ResponseWriter, r *http.Request) { b.web.End(w, r, r.PathValue("id")) })
	b.http = httptest.NewServer(m)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.end()
		b.http.Close()
		b.web.Close()
		return nil, err
	}
	b.control = "http://" + l.Addr().String()
	plan := terms.Plan{Listen: "127.0.0.1:0", RTSP: o.RTSP, Loopback: true, Viewers: 4, FFmpeg: o.FFmpeg, Rules: o.Rules, Streams: []terms.Source{{Name: "drone", Key: o.Key}}}
	b.guard.Go("video", "box", guard.Once, func(ctx context.Context) error {
		err := video.Serve(ctx, plan, l, slog.New(slog.NewTextHandler(o.Log, nil)))
		b.box <- err
		return err
	})
	return b, nil
}

// Close ends both.
func (b *Bench) Close() {
	b.end()
	<-b.box
	b.http.Close()
	b.web.Close()
	b.guard.Wait(5 * time.Second)
}

// Now is the clock of all that is seen.
func (b *Bench) Now() time.Duration { return b.clock.Now().Mono }

// County is host:port where the county takes pushes, at /whip.
func (b *Bench) County() string { return b.http.Listener.Addr().String() }

// Filmed says that the box has the stream.
func (b *Bench) Filmed(ctx context.Context) bool {
	var st terms.State
	return b.ask(ctx, http.MethodGet, "/state", nil, &st) == nil && len(st.Streams) > 0 && st.Streams[0].Codec != ""
}

// Push has the box push to an address.
func (b *Bench) Push(ctx context.Context, url string) error {
	return b.ask(ctx, http.MethodPost, "/push/drone", terms.Push{URL: url, Token: "token"}, nil)
}

func (b *Bench) publish(w http.ResponseWriter, r *http.Request) {
	o, err := whep.Offer(r)
	var a string
	var v *whep.Session
	if err == nil {
		a, v, err = b.web.Publish(r.Context(), o, "station", func() (*stream.Writer, error) { return b.stream.Open("whip") })
	}
	whep.Answer(w, a, v, "/whip", err)
}

// Watch notes what there is to show until ctx ends; what it gives ends it and tells.
func (b *Bench) Watch(ctx context.Context) func() []Seen {
	ctx, end := context.WithCancel(ctx)
	var mu sync.Mutex
	var all []Seen
	note := func(s Seen) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, s)
	}
	var both sync.WaitGroup
	both.Add(2)
	b.guard.Go("video", "pictures", guard.Once, func(context.Context) error {
		defer both.Done()
		r := b.stream.Reader(stream.ReaderOpts{Name: "watch"})
		defer r.Close()
		for {
			u, err := r.Next(ctx)
			if err != nil {
				return nil
			}
			note(Seen{At: b.Now(), Time: time.Duration(u.Time) * time.Second / time.Duration(u.Codec.Rate()), Key: u.Key})
		}
	})
	b.guard.Go("video", "stills", guard.Once, func(context.Context) error {
		defer both.Done()
		number := uint64(0)
		t := time.NewTicker(10 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
			}
			if s := b.stream.Still(); s.Number > number {
				number = s.Number
				note(Seen{At: s.At, Still: s.JPEG})
			}
		}
	})
	return func() []Seen {
		end()
		both.Wait()
		return all
	}
}

// Follow notes what the box says of its push, ten times a second, until ctx ends; what it gives ends it
// and tells.
func (b *Bench) Follow(ctx context.Context) func() []Push {
	ctx, end := context.WithCancel(ctx)
	var all []Push
	done := make(chan struct{})
	b.guard.Go("video", "push", guard.Once, func(context.Context) error {
		defer close(done)
		t := time.NewTicker(100 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
			}
			var st terms.State
			if b.ask(ctx, http.MethodGet, "/state", nil, &st) == nil && len(st.Streams) > 0 && st.Streams[0].Push != nil {
				all = append(all, Push{b.Now(), st.Streams[0].Push.Reason.In("en"), *st.Streams[0].Push})
			}
		}
	})
	return func() []Push {
		end()
		<-done
		return all
	}
}

func (b *Bench) ask(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, method, b.control+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s", method, path, res.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(out)
}
