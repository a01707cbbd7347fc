package console

import (
	"context"
	"crypto/tls"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"tocsin/cmd/hubd/gateway"
	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/logbook"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
)

// Console serves the page and the desk's socket. Use New, then Run.
type Console struct {
	file   *hubfile.File
	office Office
	book   Book
	// terminals are the gateways for short messages; nil without.
	terminals func() []gateway.NarrowState
	log       *slog.Logger
	zone      *time.Location
	now       func() time.Time
	page      net.Listener
	desk      net.Listener
	// below are handlers of other rooms, behind the same sign-in.
	below map[string]http.Handler
	// desks are those of the desk's socket.
	desks map[string]http.Handler

	once  sync.Once
	pages map[phrase.Lang]*template.Template
}

// HandleDesk has another room serve a pattern of the desk's socket. It is called before RunDesk.
func (c *Console) HandleDesk(pattern string, h http.Handler) {
	if c.desks == nil {
		c.desks = map[string]http.Handler{}
	}
	c.desks[pattern] = h
}

// Handle has another room serve what lies below a path, for officers who signed in. It is called
// before RunPage.
func (c *Console) Handle(path string, h http.Handler) {
	if c.below == nil {
		c.below = map[string]http.Handler{}
	}
	c.below[path] = h
}

// Book is what the console asks of the logbook.
type Book interface {
	State() logbook.State
	Reached(names []wire.About) map[letter.Station]logbook.Reached
}

// New opens both.
func New(f *hubfile.File, o Office, b Book, terminals func() []gateway.NarrowState, zone *time.Location, log *slog.Logger) (*Console, error) {
	c := &Console{file: f, office: o, book: b, terminals: terminals, log: log, zone: zone, now: time.Now}
	var err error
	if c.desk, err = listenSocket(f.Socket); err != nil {
		return nil, err
	}
	if f.Page.Listen == "" {
		return c, nil
	}
	if c.page, err = net.Listen("tcp", f.Page.Listen); err != nil {
		c.desk.Close()
		return nil, phrase.Wrap(err, "hubd.engine_listen", "listen", f.Page.Listen)
	}
	if t := f.Page.TLS; t != nil {
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			c.desk.Close()
			c.page.Close()
			return nil, phrase.Wrap(err, "hubd.pair", "err", err)
		}
		c.page = tls.NewListener(c.page, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12,
			// Nine pictures that are waited for must not hold up a voice: HTTP/1.1 has six connections.
			NextProtos: []string{"h2", "http/1.1"}})
	}
	return c, nil
}

// PageAddr is where the page is; nil without one.
func (c *Console) PageAddr() net.Addr {
	if c.page == nil {
		return nil
	}
	return c.page.Addr()
}

func (c *Console) server(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(c.log.Handler(), slog.LevelWarn)}
}

// RunDesk serves the socket until ctx ends.
func (c *Console) RunDesk(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/alert", c.dispatch)
	mux.HandleFunc("POST /v1/short", c.short)
	mux.HandleFunc("GET /v1/state", c.state)
	for pattern, h := range c.desks {
		mux.Handle(pattern, h)
	}
	s := c.server(mux)
	s.ConnContext = callerOf
	return serve(ctx, s, c.desk)
}

// RunPage serves the page until ctx ends; without one it only waits.
func (c *Console) RunPage(ctx context.Context) error {
	if c.page == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return serve(ctx, c.server(c.front()), c.page)
}

// front is all that the page's address serves.
func (c *Console) front() http.Handler {
	var o *officers
	if len(c.file.Page.Officers) > 0 {
		o = newOfficers(c.file.Page.Officers)
		o.sessions.now = c.now
	}
	mux := http.NewServeMux()
	mux.Handle("/", c.Page())
	mux.Handle("/send", c.sends(o))
	for path, below := range c.below {
		mux.Handle(path, below)
	}
	if o == nil {
		return local(http.NewCrossOriginProtection().Handler(mux))
	}
	open := http.NewServeMux()
	open.Handle("/", o.only(mux))
	open.HandleFunc("GET /county.css", style)
	signs := c.signs(o)
	open.Handle("/sign-in", signs)
	open.Handle("/sign-out", signs)
	return http.NewCrossOriginProtection().Handler(open)
}

func serve(ctx context.Context, s *http.Server, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return ctx.Err()
}

// local refuses what does not name this machine: a page elsewhere must not read
// this one by way of a name that it points at loopback.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hubfile.Loopback(r.Host) && !hubfile.Loopback(net.JoinHostPort(r.Host, "80")) {
			http.Error(w, "403", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
