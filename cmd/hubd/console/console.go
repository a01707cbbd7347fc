package console

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"tocsin/cmd/hubd/gateway"
	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/logbook"
	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/audit"
)

// Console serves the page and the desk's socket. Use New, then RunDesk and RunPage.
type Console struct {
	file   *hubfile.File
	office Office
	book   Book
	// terminals are the gateways for short messages; nil without.
	terminals func() []gateway.NarrowState
	log       *slog.Logger
	now       func() time.Time
	page      net.Listener
	desk      net.Listener
	// leaf says by which names the page is called; nil without TLS.
	leaf names
	// door is sign-in, duties the county's words for its people; audit keeps who did what, nil in tests.
	door   *access.Door
	duties *duties
	audit  *audit.Log
	// below are handlers of other rooms, behind the same sign-in.
	below map[string]http.Handler
	// desks are those of the desk's socket.
	desks map[string]http.Handler
	seen  glance
}

// names tells whether a certificate is a host's; *x509.Certificate is one.
type names interface{ VerifyHostname(host string) error }

// HandleDesk has another room serve a pattern of the desk's socket. It is called before RunDesk.
func (c *Console) HandleDesk(pattern string, h http.Handler) {
	if c.desks == nil {
		c.desks = map[string]http.Handler{}
	}
	c.desks[pattern] = h
}

// Handle has another room serve what lies below a path, for whoever is signed in. It is called
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

// Opts are what a console is made of.
type Opts struct {
	File   *hubfile.File
	Office Office
	Book   Book
	// Terminals are the gateways for short messages; nil without.
	Terminals func() []gateway.NarrowState
	Log       *slog.Logger
	Guard     *guard.Guard
	// Sessions is a file in RAM that keeps sign-ins over a restart; "" for none.
	Sessions string
}

// New opens the page and the socket.
func New(ctx context.Context, o Opts) (*Console, error) {
	f := o.File
	c := &Console{file: f, office: o.Office, book: o.Book, terminals: o.Terminals, log: o.Log, now: time.Now}
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
	c.page = newCrowd(c.page, crowdMost, crowdEach)
	if t := f.Page.TLS; t != nil {
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			c.desk.Close()
			c.page.Close()
			return nil, phrase.Wrap(err, "hubd.pair", "err", err)
		}
		if pair.Leaf != nil {
			c.leaf = pair.Leaf
		}
		c.page = tls.NewListener(c.page, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12,
			// Nine pictures that are waited for must not hold up a voice: HTTP/1.1 has six connections.
			NextProtos: []string{"h2", "http/1.1"}})
	}
	// What does not last is said, and signs in all the same: a county's night is no time for a disk.
	if c.door, err = access.OpenDoor(access.DoorOpts{Dir: f.Data, Sessions: o.Sessions, Command: "hubd set-up --again", Log: o.Log.With("page", "accounts")}); err != nil {
		o.Log.Error("accounts", "err", err)
	}
	if c.duties, err = openDuties(filepath.Join(f.Data, dutiesFile)); err != nil {
		o.Log.Error("nobody has a duty until somebody gives it anew", "err", err)
	}
	c.audit = audit.Open(ctx, audit.Opts{Dir: f.Data, Guard: o.Guard, Clock: clock.NewSystem(time.Time{}, clock.Held), Log: o.Log, Head: func(n int64, hash string) {
		o.Log.Info("the audit's head", "n", n, "hash", hash)
	}, Report: func(why phrase.Message) {
		if !why.IsZero() {
			o.Log.Error("audit", "err", why.In(phrase.EN))
		}
	}})
	if c.door.SetupLeft() > 0 {
		o.Log.Info("nobody may use the county's console yet: hubd set-up says how its first account is made")
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
	mux.HandleFunc("GET /v1/software", c.giveSoftware)
	mux.HandleFunc("POST /v1/software", c.orderSoftware)
	mux.HandleFunc("POST /v1/set-up", c.openSetup)
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

// RunSweep drops sign-ins that have run out, until ctx ends.
func (c *Console) RunSweep(ctx context.Context) error {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			if c.door != nil {
				c.door.Sweep()
			}
		}
	}
}

func serve(ctx context.Context, s *http.Server, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return ctx.Err()
}
