package engine

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// copiesFor is how long JetStream itself tells copies; the ledger of the post
// does it for as long as receipts are kept.
const copiesFor = 24 * time.Hour

// StreamSeen holds who saw which pictures. A full one takes no more, and nobody sees any:
// what was kept is never dropped before its time.
const (
	StreamSeen = "SEEN"
	seenMost   = 512 << 20
)

// Engine is an open store.
type Engine struct {
	JS     jetstream.JetStream
	Conn   *nats.Conn
	server *server.Server
}

// Open starts or reaches the store and makes its streams and the stations'
// consumers what the file says.
func Open(ctx context.Context, f *hubfile.File, log *slog.Logger) (_ *Engine, err error) {
	e := &Engine{}
	if f.NATS.Listen != "" {
		e.server, e.Conn, err = embed(f, log)
	} else {
		e.Conn, err = reach(f)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	if e.JS, err = jetstream.New(e.Conn, jetstream.WithDefaultTimeout(10*time.Second)); err != nil {
		return nil, phrase.Wrap(err, "hubd.engine")
	}
	return e, e.settle(ctx, f)
}

// reach connects to a cluster that exists.
func reach(f *hubfile.File) (*nats.Conn, error) {
	o := []nats.Option{nats.Name("hubd"), nats.MaxReconnects(-1), nats.Timeout(10 * time.Second), nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(3)}
	if f.NATS.CA != "" {
		o = append(o, nats.RootCAs(f.NATS.CA))
	}
	switch {
	case f.NATS.Credentials != "":
		o = append(o, nats.UserCredentials(f.NATS.Credentials))
	case f.NATS.Seed != "":
		n, err := nats.NkeyOptionFromSeed(f.NATS.Seed)
		if err != nil {
			return nil, phrase.Wrap(err, "hubd.seed", "file", f.NATS.Seed)
		}
		o = append(o, n)
	}
	nc, err := nats.Connect(strings.Join(f.NATS.Servers, ","), o...)
	if err != nil {
		return nil, phrase.Wrap(err, "hubd.cluster", "servers", strings.Join(f.NATS.Servers, "、"))
	}
	return nc, nil
}

// settle makes the streams and consumers, and changes those that are there.
func (e *Engine) settle(ctx context.Context, f *hubfile.File) error {
	up, down, receipts, most := f.Keep.Bounds()
	replicas := max(f.NATS.Replicas, 1)
	for _, c := range []jetstream.StreamConfig{
		{Name: letter.StreamUp, Subjects: []string{"up.>"}, MaxAge: up, MaxBytes: most, Discard: jetstream.DiscardNew, Duplicates: copiesFor},
		{Name: letter.StreamDown, Subjects: []string{"down.>"}, MaxAge: down, Duplicates: min(copiesFor, down)},
		{Name: letter.StreamReceipt, Subjects: []string{"rcpt.>"}, MaxAge: receipts, AllowDirect: true, Duplicates: copiesFor},
	} {
		c.Storage, c.Replicas, c.MaxMsgSize = jetstream.FileStorage, replicas, payloadMost
		if _, err := e.JS.CreateOrUpdateStream(ctx, c); err != nil {
			return phrase.Wrap(err, "hubd.stream", "stream", c.Name)
		}
	}
	if f.Pictures != nil {
		c := jetstream.StreamConfig{Name: StreamSeen, Subjects: []string{"seen.>"}, MaxAge: f.Pictures.KeepViewings(), MaxBytes: seenMost, Discard: jetstream.DiscardNew,
			Storage: jetstream.FileStorage, Replicas: replicas, MaxMsgSize: 64 << 10, Duplicates: time.Hour}
		if _, err := e.JS.CreateOrUpdateStream(ctx, c); err != nil {
			return phrase.Wrap(err, "hubd.stream", "stream", c.Name)
		}
	}
	if _, err := e.JS.CreateOrUpdateConsumer(ctx, letter.StreamUp, jetstream.ConsumerConfig{
		Durable: "ledger", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second, MaxAckPending: 256,
	}); err != nil {
		return phrase.Wrap(err, "hubd.stream", "stream", letter.StreamUp)
	}
	for _, id := range f.Order() {
		s := letter.Station(id)
		if _, err := e.JS.CreateOrUpdateConsumer(ctx, letter.StreamDown, jetstream.ConsumerConfig{
			Durable: id, FilterSubject: s.DownAll(), AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute, MaxAckPending: 64,
		}); err != nil {
			return phrase.Wrap(err, "hubd.stream", "stream", letter.StreamDown)
		}
	}
	return nil
}

// Addr is where the embedded server listens; nil where there is none.
func (e *Engine) Addr() net.Addr {
	if e.server == nil {
		return nil
	}
	return e.server.Addr()
}

// lookEach is how often the embedded store is asked whether it still writes, sickMost how often in a row it
// may say no.
const (
	lookEach = 2 * time.Second
	sickMost = 3
)

// Watch gives an error when the embedded store has stopped writing, as after a full disk: it never begins again by
// itself, also when there is room. A cluster's health is its own administrator's.
func (e *Engine) Watch(ctx context.Context) error {
	t := time.NewTicker(lookEach)
	defer t.Stop()
	for sick := 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		if e.server == nil {
			continue
		}
		if h := e.server.Healthz(nil); h == nil || h.StatusCode == http.StatusOK || h.Error == "" {
			sick = 0
		} else if sick++; sick == sickMost {
			return phrase.E("hubd.engine_sick", "detail", h.Error)
		}
	}
}

// Close ends the connection and the embedded server.
func (e *Engine) Close() {
	if e.Conn != nil {
		e.Conn.Close()
	}
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}
}

// Copy tells whether a publish failed because its subject already holds a message.
func Copy(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence
}
