package relay

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"

	"tocsin/firmware/phrase"
)

const realm = "tocsin"

// Opts are a relay's.
type Opts struct {
	// Listen is for UDP and TCP; TLS, where it is set, with Certificate.
	Listen, TLS string
	Certificate *tls.Config
	// Address is what relayed packets come from; Host the name in URLs.
	Address netip.Addr
	Host    string
	// From and To are the ports of relayed packets.
	From, To uint16
	// Media are where the hub's own pictures are: what everybody may reach.
	Media []netip.AddrPort
	// Allow are further networks.
	Allow []netip.Prefix
	// Each bounds one user: relayings at once (48) and bytes a second (8 MiB).
	Each, Rate int
	Now        func() time.Time
	Log        *slog.Logger
}

// The defaults of a user's bounds. Nine pictures by three legs of each of a browser's
// networks are the most that an honest viewer asks for.
const (
	eachMost = 48
	rateMost = 8 << 20
)

// Relay is a TURN server. Use New, then Run.
type Relay struct {
	o      Opts
	key    []byte
	server *turn.Server
	udp    net.PacketConn
	tcp    net.Listener
	tls    net.Listener

	mu    sync.Mutex
	users map[string]*user
	probe netip.AddrPort // where Check may relay to
	// checking is held by the one check that runs: the probe has one address.
	checking sync.Mutex
}

type user struct {
	open   int
	spent  float64
	at     time.Time
	denied uint64
}

// New opens the ports.
func New(o Opts) (*Relay, error) {
	if o.Each == 0 {
		o.Each = eachMost
	}
	if o.Rate == 0 {
		o.Rate = rateMost
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Host == "" {
		o.Host = o.Address.String()
	}
	r := &Relay{o: o, key: make([]byte, 32), users: map[string]*user{}}
	rand.Read(r.key)
	if err := r.listen(); err != nil {
		r.closePorts()
		return nil, err
	}
	g := &generator{r: r}
	c := turn.ServerConfig{
		Realm: realm, AuthHandler: r.knows, QuotaHandler: r.quota,
		LoggerFactory:     quiet{o.Log},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: r.udp, RelayAddressGenerator: g, PermissionHandler: r.permits}},
		ListenerConfigs:   []turn.ListenerConfig{{Listener: r.tcp, RelayAddressGenerator: g, PermissionHandler: r.permits}},
		EventHandler: turn.EventHandler{
			OnAllocationCreated: func(_, _ net.Addr, _, id, _ string, _ net.Addr, _ int) { r.count(id, 1) },
			OnAllocationDeleted: func(_, _ net.Addr, _, id, _ string) { r.count(id, -1) },
		},
	}
	if r.tls != nil {
		c.ListenerConfigs = append(c.ListenerConfigs, turn.ListenerConfig{Listener: r.tls, RelayAddressGenerator: g, PermissionHandler: r.permits})
	}
	var err error
	if r.server, err = turn.NewServer(c); err != nil {
		r.closePorts()
		return nil, phrase.Wrap(err, "relay.server")
	}
	return r, nil
}

func (r *Relay) listen() (err error) {
	// Both legs have one number; a free one for UDP may be taken for TCP.
	host, port, _ := net.SplitHostPort(r.o.Listen)
	for tries := 0; ; tries++ {
		// Who names no family gets the listener's (RFC 8656, 7.2): it is the relayed address's.
		if r.udp, err = net.ListenPacket("udp"+r.family(), r.o.Listen); err != nil {
			return phrase.Wrap(err, "relay.listen", "leg", LegUDP, "listen", r.o.Listen)
		}
		at := r.o.Listen
		if port == "0" {
			_, free, _ := net.SplitHostPort(r.udp.LocalAddr().String())
			at = net.JoinHostPort(host, free)
		}
		if r.tcp, err = net.Listen("tcp"+r.family(), at); err == nil {
			break
		}
		if port != "0" || tries == triesMost {
			return phrase.Wrap(err, "relay.listen", "leg", LegTCP, "listen", at)
		}
		r.udp.Close()
	}
	if r.o.TLS == "" || r.o.Certificate == nil {
		return nil
	}
	if r.tls, err = tls.Listen("tcp"+r.family(), r.o.TLS, r.o.Certificate); err != nil {
		return phrase.Wrap(err, "relay.listen", "leg", LegTLS, "listen", r.o.TLS)
	}
	return nil
}

func (r *Relay) family() string {
	if r.o.Address.Is4() {
		return "4"
	}
	return "6"
}

func (r *Relay) closePorts() {
	if r.udp != nil {
		r.udp.Close()
	}
	if r.tcp != nil {
		r.tcp.Close()
	}
	if r.tls != nil {
		r.tls.Close()
	}
}

// Run serves until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	<-ctx.Done()
	if err := r.server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		r.o.Log.Warn("the relay ended oddly", "err", err)
	}
	return ctx.Err()
}

// count notes that one of a user's relayings began or ended. A user with none is forgotten
// when the next one comes.
func (r *Relay) count(id string, by int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u := r.users[id]; u != nil {
		u.open += by
	}
}

// usersMost bounds how many users are remembered; each has a credential of the hub's.
const usersMost = 4096

// quota says whether a user may begin one more.
func (r *Relay) quota(id, _ string, _ net.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.users[id]
	if u == nil {
		if len(r.users) >= usersMost {
			for k, v := range r.users {
				if v.open <= 0 {
					delete(r.users, k)
				}
			}
			if len(r.users) >= usersMost {
				return false
			}
		}
		u = &user{}
		r.users[id] = u
	}
	if u.open >= r.o.Each {
		u.denied++
		return false
	}
	return true
}

// pays takes bytes off what a user may send or get this second.
func (r *Relay) pays(id string, n int) bool {
	now := r.o.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.users[id]
	if u == nil {
		return false
	}
	u.spent = max(0, u.spent-now.Sub(u.at).Seconds()*float64(r.o.Rate))
	u.at = now
	if u.spent+float64(n) > float64(r.o.Rate) {
		u.denied++
		return false
	}
	u.spent += float64(n)
	return true
}

// quiet gives the server's lines to ours. Its lines hold no password; user names hold none
// either.
type quiet struct{ log *slog.Logger }

func (q quiet) NewLogger(string) logging.LeveledLogger { return line(q) }

type line struct{ log *slog.Logger }

func (l line) Trace(string)          {}
func (l line) Tracef(string, ...any) {}
func (l line) Debug(string)          {}
func (l line) Debugf(string, ...any) {}
func (l line) Info(string)           {}
func (l line) Infof(string, ...any)  {}
