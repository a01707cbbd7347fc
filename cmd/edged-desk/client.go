package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// Globals are the flags that every client command shares. The commands speak
// with a running box over its Unix socket and do nothing by themselves.
type Globals struct {
	Socket string `help:"盒子的本地套接字 · The local socket of the box" default:"/run/tocsin/edged.sock" env:"EDGED_SOCKET" placeholder:"PATH"`
	Lang   string `help:"语言 zh 或 en，默认按系统 · Language, by default the system's" enum:"zh,en," default:"" env:"EDGED_LANG"`

	// Out is where answers go, nil for standard output. Ctx ends what follows;
	// nil for a context that an interrupt ends.
	Out io.Writer       `kong:"-"`
	In  io.Reader       `kong:"-"` // nil for the keyboard or standard input
	Ctx context.Context `kong:"-"`
}

// The exit codes of the client commands, beside 0.
const (
	exitRefused     = 1 // the box said no, or answered with an error
	exitUnreachable = 3 // no box answers on the socket
)

// clientError is an error that a person may see, with the exit code of the
// process.
type clientError struct {
	said *phrase.Error
	code int
}

// Error gives the English text, for logs.
func (e *clientError) Error() string { return e.said.Error() }

// ExitCode is kong's.
func (e *clientError) ExitCode() int { return e.code }

// Unwrap gives the error for people, so that phrase.In renders it.
func (e *clientError) Unwrap() error { return e.said }

// fail prints an error in the reader's language and gives the exit code.
func fail(g *Globals, w io.Writer, err error) int {
	if err == nil {
		return 0
	}
	io.WriteString(w, "edged: "+phrase.In(err, g.lang())+"\n")
	var c *clientError
	if errors.As(err, &c) {
		return c.code
	}
	return exitRefused
}

// lang takes the flag, then the usual variables, then Chinese.
func (g *Globals) lang() phrase.Lang {
	switch g.Lang {
	case "zh":
		return phrase.ZH
	case "en":
		return phrase.EN
	}
	return phrase.OfEnvironment(os.Getenv)
}

func (g *Globals) out() io.Writer {
	if g.Out == nil {
		return os.Stdout
	}
	return g.Out
}

// done closes the output: nothing more comes.
func (g *Globals) done() {
	if g.Out == nil {
		os.Stdout.Close()
	}
}

func (g *Globals) context() (context.Context, context.CancelFunc) {
	ctx := g.Ctx
	if ctx == nil {
		ctx = context.Background()
	}
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

// say prints a message as a line.
func (g *Globals) say(m phrase.Message) { io.WriteString(g.out(), m.In(g.lang())+"\n") }

func (g *Globals) text(t api.Text) string {
	return api.Clean(phrase.Text{ZH: t.ZH, EN: t.EN}.In(g.lang()), 500)
}

func (g *Globals) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "unix", g.Socket)
		},
		ResponseHeaderTimeout: 10 * time.Second,
		DisableKeepAlives:     true,
	}}
}

// ask sends one request; body is nil for a GET. The answer's body is the
// caller's to close.
func (g *Globals) ask(ctx context.Context, path string, body any) (*http.Response, error) {
	method, rd := http.MethodGet, io.Reader(nil)
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		method, rd = http.MethodPost, bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://edged/api/v1"+path, rd)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := g.client().Do(r)
	if err != nil {
		return nil, g.unreachable(err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp, nil
}

func (g *Globals) unreachable(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ECONNREFUSED):
		return &clientError{phrase.E("serve.no_box", "path", g.Socket), exitUnreachable}
	case errors.Is(err, fs.ErrPermission):
		return &clientError{phrase.E("serve.no_permission", "path", g.Socket), exitUnreachable}
	}
	return &clientError{phrase.Wrap(err, "serve.box_silent", "path", g.Socket), exitUnreachable}
}

// refusal reads a problem of the API. Its text is the box's own, in both
// languages.
func refusal(resp *http.Response) error {
	var p api.Problem
	if json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&p) != nil || p.ZH == "" {
		return &clientError{phrase.E("serve.bad_answer", "status", resp.StatusCode), exitRefused}
	}
	e := phrase.E("serve.refused", "text", phrase.Text{ZH: p.ZH, EN: p.EN}, "code", p.Code)
	if len(p.Details) > 0 {
		e.Err = errors.New(p.Details[0].Where + ": " + p.Details[0].What)
	}
	return &clientError{e, exitRefused}
}

// get reads one answer into v.
func (g *Globals) get(path string, body, v any) error {
	ctx, cancel := g.context()
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	resp, err := g.ask(ctx, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if v == nil || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(v); err != nil {
		return &clientError{phrase.Wrap(err, "serve.bad_answer", "status", resp.StatusCode), exitRefused}
	}
	return nil
}

// follow calls f with each line of a stream until an interrupt, which is no
// error, or until the box ends it, which is one.
func (g *Globals) follow(path string, f func(line []byte) error) error {
	ctx, cancel := g.context()
	defer cancel()
	resp, err := g.ask(ctx, path, nil)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer resp.Body.Close()
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		if len(sc.Bytes()) == 0 {
			continue
		}
		if err := f(sc.Bytes()); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err := sc.Err(); err != nil {
		return &clientError{phrase.Wrap(err, "serve.stream_ended"), exitUnreachable}
	}
	return &clientError{phrase.E("serve.stream_ended"), exitUnreachable}
}

// printLine writes one JSON value a line.
func (g *Globals) printLine(v any) error {
	enc := json.NewEncoder(g.out())
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// local gives a time as the page shows it: in the machine's zone, and where that
// was never set (UTC, as on a board's bare image), in China's.
func local(t time.Time) time.Time {
	if _, off := t.Local().Zone(); off == 0 && os.Getenv("TZ") == "" {
		if z, err := time.LoadLocation("Asia/Shanghai"); err == nil {
			return t.In(z)
		}
	}
	return t.Local()
}
