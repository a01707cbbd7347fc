package api

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
)

// Verifier compares a stop token, after the wait that the address has earned.
// *access.Token is one.
type Verifier interface {
	Verify(ctx context.Context, addr, given string) bool
}

// Opts configure a Server. Guard is needed to serve; the rest has defaults.
type Opts struct {
	// Guard owns the listeners' goroutines.
	Guard *guard.Guard
	// Log, nil for slog.Default.
	Log *slog.Logger
	// Token verifies the stop token; nil means that nobody on the network may
	// stop.
	Token Verifier
	// Door proves sessions; nil means that nobody can sign in.
	Door Door
	// Strangers is what whoever is not signed in may do on the network, nil for a viewer.
	Strangers func() access.Role
	// Audit is given every changing act, refused ones too. It must not block.
	Audit func(Audited)
	// TLS encrypts the network listener; without it the page is served in the clear.
	TLS *tls.Config
	// Names are host names that the box may be called by on the network,
	// beside IP literals and localhost.
	Names []string
	// Pages answers whatever is not of the API on the network listener, such as
	// serve/page. It gets only requests that have passed the gate; see GrantOf.
	Pages *Routes
	// Video is what lies below /api/v1/video: SDP and pictures, no JSON that could be
	// described here. It asks GrantOf where more than a viewer is needed.
	Video http.Handler
	// Report is told what is wrong with a listener, and the zero Message when
	// it is well again. It must not block.
	Report func(thing string, why phrase.Message)
	// Version is written into the OpenAPI document.
	Version string
	// Limits, where zero, are DefaultLimits.
	Limits Limits
}

// Limits bound what callers may take. Zero fields take the default.
type Limits struct {
	// Conns and ConnsPerAddr bound open connections on the network listener.
	Conns, ConnsPerAddr int
	// SocketConns bounds open connections on the Unix socket.
	SocketConns int
	// Streams bounds open streams of strangers on the network, and as many again are kept
	// for who is signed in; SocketStreams those on the socket.
	Streams, StreamsPerAddr, SocketStreams int
	// Events and EventsPerAddr bound who listens to /events: one is a goroutine and
	// some 30 KiB, since what is said is encoded once for all. Some more are kept for who is
	// signed in.
	Events, EventsPerAddr int
	// Sounds bounds how many sounds are rendered at once.
	Sounds int
	// Body and Header bound a request, in bytes.
	Body   int64
	Header int
	// Read bounds how long a request may take to arrive, Write how long an
	// answer (of a stream: one line) may take to be taken.
	Read, Write, Idle time.Duration
	// Retry is the pause between attempts to take a busy port.
	Retry time.Duration
}

// DefaultLimits are for a board with 512 MiB. On a bad night a village's phones look at
// the page: 200 of them at once, each with one open stream, and room beside them for
// who asks and for STOP. One address may be a router with a family's phones behind it.
var DefaultLimits = Limits{
	Conns: 288, ConnsPerAddr: 32, SocketConns: 64, Streams: 8, StreamsPerAddr: 4, SocketStreams: 16, Events: 224, EventsPerAddr: 12, Sounds: 2,
	Body: 4 << 10, Header: 16 << 10, Read: 10 * time.Second, Write: 10 * time.Second, Idle: time.Minute,
	Retry: 5 * time.Second,
}

// Server is the served surface. Use New.
type Server struct {
	box   Box
	o     Opts
	log   *slog.Logger
	api   huma.API
	ways  []Route
	root  http.Handler
	names map[string]bool

	streams, socketStreams, sounds, listening *places

	events *broadcaster
	pace   pace

	mu  sync.Mutex
	lan string
}

// New makes the server; it listens nowhere yet.
func New(box Box, o Opts) (*Server, error) {
	s, err := build(box, o)
	if err == nil {
		s.forget()
	}
	return s, err
}

// build makes the server with all that its document says. A nil box serves to write that
// only.
func build(box Box, o Opts) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Report == nil {
		o.Report = func(string, phrase.Message) {}
	}
	fillLimits(&o.Limits)
	s := &Server{
		box: box, o: o, log: o.Log, names: map[string]bool{"localhost": true},
		streams:       newPlaces(o.Limits.Streams, o.Limits.StreamsPerAddr, o.Limits.Streams),
		socketStreams: newPlaces(o.Limits.SocketStreams, 0, 0),
		sounds:        newPlaces(o.Limits.Sounds, 0, 1),
		listening:     newPlaces(o.Limits.Events, o.Limits.EventsPerAddr, 16),
	}
	s.events = newBroadcaster(s)
	for _, n := range o.Names {
		n = strings.ToLower(strings.TrimSuffix(n, "."))
		if n == "" || strings.ContainsAny(n, "*/:@ ") {
			return nil, phrase.E("serve.bad_name", "name", n)
		}
		s.names[n] = true
	}
	mux := http.NewServeMux()
	s.api = humago.New(mux, s.config())
	s.api.UseMiddleware(s.authorize)
	s.register()
	metrics, err := s.metrics()
	if err != nil {
		return nil, err
	}
	mux.Handle("GET "+prefix+"/openapi.json", s.described("application/openapi+json", asJSON))
	mux.Handle("GET "+prefix+"/openapi.yaml", s.described("application/openapi+yaml", (*huma.OpenAPI).YAML))
	mux.Handle("GET /metrics", s.viewersOnly(metrics))
	if o.Pages != nil {
		mux.Handle("/", o.Pages)
	} else {
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
			writeProblem(w, problem(http.StatusNotFound, phrase.M("serve.no_path")))
		})
	}
	if o.Video != nil {
		mux.Handle(videoPrefix, s.viewersOnly(o.Video))
		mux.Handle(videoPrefix+"/", s.viewersOnly(o.Video))
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, problem(http.StatusNotFound, phrase.M("serve.no_path")))
	})
	s.root = s.gate(mux)
	return s, nil
}

func fillLimits(l *Limits) {
	v, d := reflect.ValueOf(l).Elem(), reflect.ValueOf(DefaultLimits)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			v.Field(i).Set(d.Field(i))
		}
	}
}

func (s *Server) config() huma.Config {
	c := huma.DefaultConfig("Tocsin box", s.o.Version)
	c.Info.Description = "What one box sees, sounds and remembers. Every text comes in Chinese and English."
	c.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", func(t reflect.Type, hint string) string {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t == reflect.TypeFor[phrase.Text]() {
			return "Name"
		}
		return huma.DefaultSchemaNamer(t, hint)
	})
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"stopToken": {Type: "http", Scheme: "bearer", Description: "the stop token, which edged label prints at the box"},
	}
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", "" // the document is served by described
	c.CreateHooks = nil
	c.RejectUnknownQueryParameters = true
	c.Transformers = []huma.Transformer{speak}
	return c
}

// Handler gives the whole surface without a listener; without one every caller
// is nobody. Tests use it with WithGrant.
func (s *Server) Handler() http.Handler { return s.root }

// OpenAPI writes the document of the API as indented JSON.
func OpenAPI(version string) ([]byte, error) {
	s, err := build(nil, Opts{Version: version})
	if err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(s.api.OpenAPI(), "", "  ")
	return append(b, '\n'), err
}

var errNoGuard = errors.New("api: serving needs Opts.Guard")
