package engine

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// payloadMost lets the largest letter pass with its headers.
const payloadMost = letter.BodyMost + 64<<10

// embed starts the embedded server and gives a connection into it, by a key that
// nobody else ever has.
func embed(f *hubfile.File, log *slog.Logger) (*server.Server, *nats.Conn, error) {
	o, err := options(f)
	if err != nil {
		return nil, nil, err
	}
	own, err := nkeys.CreateUser()
	if err != nil {
		return nil, nil, phrase.Wrap(err, "hubd.engine")
	}
	public, err := own.PublicKey()
	if err != nil {
		return nil, nil, phrase.Wrap(err, "hubd.engine")
	}
	o.Nkeys = append(o.Nkeys, &server.NkeyUser{Nkey: public})
	s, err := server.NewServer(o)
	if err != nil {
		return nil, nil, phrase.Wrap(err, "hubd.engine")
	}
	s.SetLoggerV2(&logger{log}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		s.Shutdown()
		return nil, nil, phrase.E("hubd.engine_listen", "listen", f.NATS.Listen)
	}
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.Nkey(public, own.Sign), nats.Name("hubd"), nats.MaxReconnects(-1))
	if err != nil {
		s.Shutdown()
		return nil, nil, phrase.Wrap(err, "hubd.engine")
	}
	return s, nc, nil
}

func options(f *hubfile.File) (*server.Options, error) {
	host, port, err := net.SplitHostPort(f.NATS.Listen)
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		n = server.RANDOM_PORT
	}
	store := filepath.Join(f.Data, "streams")
	if err := os.MkdirAll(store, 0o700); err != nil {
		return nil, phrase.Wrap(err, "hubd.data_dir", "dir", f.Data)
	}
	o := &server.Options{
		ServerName: "hubd", Host: host, Port: n, NoSigs: true,
		JetStream: true, StoreDir: store, SyncAlways: true,
		MaxPayload: payloadMost, MaxConn: 2*len(f.Stations) + 64,
		// A satellite's handshake takes seconds; its dead connection is seen in
		// half a minute.
		AuthTimeout: 40, PingInterval: 10 * time.Second, MaxPingsOut: 3, WriteDeadline: 10 * time.Second,
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: storeMost(f),
	}
	if t := f.NATS.TLS; t != nil {
		if o.TLSConfig, err = serverTLS(t); err != nil {
			return nil, err
		}
		o.TLS, o.TLSTimeout, o.TLSVerify = true, 30, t.Clients != ""
	}
	for _, id := range f.Order() {
		s, may := f.Stations[id], rights(letter.Station(id))
		switch {
		case s.NKey != "":
			o.Nkeys = append(o.Nkeys, &server.NkeyUser{Nkey: s.NKey, Permissions: may})
		case s.Token != "":
			o.Users = append(o.Users, &server.User{Username: id, Password: s.Token, Permissions: may})
		}
	}
	return o, nil
}

// storeMost leaves room for DOWN and RCPT beside UP.
func storeMost(f *hubfile.File) int64 {
	_, _, _, most := f.Keep.Bounds()
	return 2*most + 4<<30
}

// rights are what a station may do.
func rights(s letter.Station) *server.Permissions {
	consumer := letter.StreamDown + "." + string(s)
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			s.UpAll(),
			s.Receipts("down"),
			s.Told(),
			s.TalkUp(),
			s.ReleaseAsk(),
			s.ReleasePart(),
			"$JS.API.CONSUMER.INFO." + consumer,
			"$JS.API.CONSUMER.MSG.NEXT." + consumer,
			"$JS.ACK." + consumer + ".>",
			"$JS.API.DIRECT.GET." + letter.StreamReceipt + "." + s.Receipts("up"),
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{
			Inbox(s) + ".>",
			s.Receipts("up"),
			s.Ask(),
			s.TalkDown(),
		}},
		// It answers what the hub asked, once, and says nothing else there.
		Response: &server.ResponsePermission{MaxMsgs: 1, Expires: askedFor},
	}
}

// askedFor is how long a station may take to answer the hub.
const askedFor = time.Minute

// Inbox is the prefix under which a station gets its answers.
func Inbox(s letter.Station) string { return "_INBOX_" + string(s) }

// serverTLS reads a listener's files.
func serverTLS(t *hubfile.TLS) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
	if err != nil {
		return nil, phrase.Wrap(err, "hubd.pair", "err", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if t.Clients != "" {
		b, err := os.ReadFile(t.Clients)
		if err != nil {
			return nil, phrase.Wrap(err, "hubd.ca", "file", t.Clients)
		}
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(b) {
			return nil, phrase.E("hubd.ca", "file", t.Clients)
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c, nil
}

// logger gives the server's lines to ours.
type logger struct{ log *slog.Logger }

func (l *logger) Noticef(f string, v ...any) { l.log.Debug("nats: " + fmt.Sprintf(f, v...)) }
func (l *logger) Warnf(f string, v ...any)   { l.log.Warn("nats: " + fmt.Sprintf(f, v...)) }
func (l *logger) Fatalf(f string, v ...any)  { l.log.Error("nats: " + fmt.Sprintf(f, v...)) }
func (l *logger) Errorf(f string, v ...any)  { l.log.Error("nats: " + fmt.Sprintf(f, v...)) }
func (l *logger) Debugf(string, ...any)      {}
func (l *logger) Tracef(string, ...any)      {}
