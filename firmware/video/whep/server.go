package whep

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/cc"
	"github.com/pion/interceptor/pkg/gcc"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/logging"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"github.com/pion/dtls/v3"

	"tocsin/firmware/phrase"
)

// MaxBody is the longest offer or answer in bytes.
const MaxBody = 64 << 10

// Waits of a session.
const (
	connectWait  = 15 * time.Second // from the answer to media
	goneAfter    = 20 * time.Second // without a sign of the other end
	keepEvery    = 2 * time.Second
	pictureWait  = 3 * time.Second // for parameter sets of a stream that has just begun
	defaultMost  = 64
	defaultKey   = 20 * time.Millisecond
	minEstimate  = 30_000
	maxEstimate  = 50_000_000
	startBitrate = 1_000_000
)

// Opts is what a server needs.
type Opts struct {
	Log *slog.Logger
	// Now is the box's monotonic clock.
	Now func() time.Duration
	// Start starts a goroutine that somebody owns.
	Start func(name string, run func())
	// Listen is host and port, of UDP and of ICE over TCP alike.
	Listen string
	// Loopback offers 127.0.0.1 too: for tests and the bench.
	Loopback bool
	// Address says which of the box's addresses are offered; nil offers all.
	Address func(net.IP) bool
	// Public are addresses by which the port is reached from outside besides the box's own: of
	// whoever forwards it here (NAT). They are offered too.
	Public []string
	// Budget is what all viewers together may take in bit/s; nil or 0 is no bound.
	Budget func() int
	// Most is how many sessions there may be; 64 where it is 0.
	Most int
	// Key is over how long a key picture is spread; 20 ms where it is 0.
	Key time.Duration
}

// A Server holds the sessions of one port.
type Server struct {
	o    Opts
	sock *socket
	udp  *ice.UDPMuxDefault
	tcp  ice.TCPMux
	port int

	out, in *webrtc.API // sends; receives
	cert    webrtc.Certificate

	mu       sync.Mutex
	sessions map[string]*Session
	closed   bool
}

// New opens the port.
func New(o Opts) (*Server, error) {
	if o.Most <= 0 {
		o.Most = defaultMost
	}
	if o.Key <= 0 {
		o.Key = defaultKey
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	addr, err := net.ResolveUDPAddr("udp4", o.Listen)
	if err != nil {
		return nil, phrase.Wrap(err, "whep.listen", "listen", o.Listen)
	}
	conn, err := net.ListenUDP("udp4", addr)
	if err != nil {
		return nil, phrase.Wrap(err, "whep.listen", "listen", o.Listen)
	}
	s := &Server{o: o, sock: newSocket(conn), port: conn.LocalAddr().(*net.UDPAddr).Port, sessions: map[string]*Session{}}
	logs := quiet{}
	s.udp = ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: s.sock, Logger: logs})
	var mux ice.TCPMux
	if l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: addr.IP, Port: s.port}); err == nil {
		mux = ice.NewTCPMuxDefault(ice.TCPMuxParams{Listener: l, Logger: logs, ReadBufferSize: 64, WriteBufferSize: 4 << 20, FirstStunBindTimeout: 5 * time.Second, AliveDurationForConnFromStun: 5 * time.Second})
		s.tcp = mux
	} else {
		o.Log.Warn("no ICE over TCP", "port", s.port, "err", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return nil, err
	}
	s.cert = *cert
	if s.out, err = s.engine(mux, false); err != nil {
		return nil, err
	}
	if s.in, err = s.engine(mux, true); err != nil {
		return nil, err
	}
	return s, nil
}

// Port is the port that was opened.
func (s *Server) Port() int { return s.port }

// settings are those of every session on the shared port.
func (s *Server) settings(tcp ice.TCPMux) webrtc.SettingEngine {
	var e webrtc.SettingEngine
	e.LoggerFactory = quiet{}
	e.SetICEUDPMux(s.udp)
	networks := []webrtc.NetworkType{webrtc.NetworkTypeUDP4}
	if tcp != nil {
		e.SetICETCPMux(tcp)
		networks = append(networks, webrtc.NetworkTypeTCP4)
	}
	e.SetNetworkTypes(networks)
	e.DisableActiveTCP(true)
	e.SetIncludeLoopbackCandidate(s.o.Loopback)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetICETimeouts(goneAfter/2, goneAfter, keepEvery)
	e.SetHostAcceptanceMinWait(0)
	e.SetReceiveMTU(1500)
	// The cipher of one pass comes first: half the cost on every board that has it in silicon.
	e.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	if s.o.Address != nil {
		e.SetIPFilter(s.o.Address)
	}
	if len(s.o.Public) > 0 {
		// It fails only beside the older way to say the same.
		_ = e.SetICEAddressRewriteRules(webrtc.ICEAddressRewriteRule{External: s.o.Public, AsCandidateType: webrtc.ICECandidateTypeHost, Mode: webrtc.ICEAddressRewriteAppend})
	}
	return e
}

// engine makes what peer connections are made by.
func (s *Server) engine(tcp ice.TCPMux, receive bool) (*webrtc.API, error) {
	m, err := codecs()
	if err != nil {
		return nil, err
	}
	r := &interceptor.Registry{}
	if receive {
		// Lost packets are asked for, and the sender hears how the way is.
		gen, err := nack.NewGeneratorInterceptor()
		if err != nil {
			return nil, err
		}
		r.Add(gen)
		rr, err := report.NewReceiverInterceptor()
		if err != nil {
			return nil, err
		}
		r.Add(rr)
		m.RegisterFeedback(webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBTransportCC}, webrtc.RTPCodecTypeVideo)
		if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: sdp.TransportCCURI}, webrtc.RTPCodecTypeVideo); err != nil {
			return nil, err
		}
		tw, err := twcc.NewSenderInterceptor()
		if err != nil {
			return nil, err
		}
		r.Add(tw)
	}
	return webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(r), webrtc.WithSettingEngine(s.settings(tcp))), nil
}

// pusher is an engine of one session that estimates what its way bears. It has
// sockets of its own: it goes out by whatever uplink there is.
func (s *Server) pusher(start int, w *wire, got func(cc.BandwidthEstimator)) (*webrtc.API, error) {
	m, err := codecs()
	if err != nil {
		return nil, err
	}
	r := &interceptor.Registry{}
	m.RegisterFeedback(webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBTransportCC}, webrtc.RTPCodecTypeVideo)
	if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: sdp.TransportCCURI}, webrtc.RTPCodecTypeVideo); err != nil {
		return nil, err
	}
	est, err := cc.NewInterceptor(func() (cc.BandwidthEstimator, error) {
		return gcc.NewSendSideBWE(gcc.SendSideBWEInitialBitrate(min(max(start, startBitrate), maxEstimate)), gcc.SendSideBWEMinBitrate(minEstimate), gcc.SendSideBWEMaxBitrate(maxEstimate),
			gcc.SendSideBWEPacer(gcc.NewNoOpPacer()), gcc.WithLoggerFactory(quiet{}))
	})
	if err != nil {
		return nil, err
	}
	est.OnNewPeerConnection(func(_ string, e cc.BandwidthEstimator) { got(e) })
	// What is added last sees a packet first.
	r.Add(with{&hollow{}})
	r.Add(est)
	r.Add(with{w})
	ext, err := twcc.NewHeaderExtensionInterceptor()
	if err != nil {
		return nil, err
	}
	r.Add(ext)
	var e webrtc.SettingEngine
	e.LoggerFactory = quiet{}
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6, webrtc.NetworkTypeTCP4})
	e.SetIncludeLoopbackCandidate(s.o.Loopback)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetICETimeouts(goneAfter/2, goneAfter, keepEvery)
	e.SetReceiveMTU(1500)
	e.SetSCTPRTOMax(stillAgain)
	e.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	return webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(r), webrtc.WithSettingEngine(e)), nil
}

// codecs are what can be offered: what streams carry.
func codecs() (*webrtc.MediaEngine, error) {
	m := &webrtc.MediaEngine{}
	fb := []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}}
	pt := webrtc.PayloadType(96)
	for _, profile := range []string{"42e01f", "42001f", "4d001f", "64001f", "f4001f"} {
		if err := m.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: pt, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeH264, ClockRate: 90000, RTCPFeedback: fb,
			SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=" + profile}}, webrtc.RTPCodecTypeVideo); err != nil {
			return nil, err
		}
		pt++
	}
	if err := m.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: pt, RTPCodecCapability: webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeH265, ClockRate: 90000, RTCPFeedback: fb}}, webrtc.RTPCodecTypeVideo); err != nil {
		return nil, err
	}
	for _, c := range []webrtc.RTPCodecParameters{
		{PayloadType: 111, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1"}},
		{PayloadType: 0, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMU, ClockRate: 8000}},
		{PayloadType: 8, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMA, ClockRate: 8000}},
	} {
		if err := m.RegisterCodec(c, webrtc.RTPCodecTypeAudio); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Session finds a session by its name, which is its secret too.
func (s *Server) Session(id string) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

// Sessions are those that there are.
func (s *Server) Sessions() []State {
	s.mu.Lock()
	all := make([]*Session, 0, len(s.sessions))
	for _, v := range s.sessions {
		all = append(all, v)
	}
	s.mu.Unlock()
	out := make([]State, 0, len(all))
	for _, v := range all {
		out = append(out, v.State())
	}
	return out
}

// Close ends all sessions and shuts the port.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	var all []*Session
	for _, v := range s.sessions {
		all = append(all, v)
	}
	s.mu.Unlock()
	for _, v := range all {
		v.Close()
		<-v.done
	}
	var errs []error
	errs = append(errs, s.udp.Close())
	if s.tcp != nil {
		errs = append(errs, s.tcp.Close())
	}
	return errors.Join(errs...)
}

// admit makes room for one more session; add is the bit rate that it will take.
func (s *Server) admit(v *Session, add int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return phrase.E("whep.closing")
	}
	if len(s.sessions) >= s.o.Most {
		return phrase.Wrap(ErrBusy, "whep.most", "most", strconv.Itoa(s.o.Most))
	}
	if s.o.Budget != nil && add > 0 {
		if b := s.o.Budget(); b > 0 {
			sum := add
			for _, o := range s.sessions {
				sum += o.wants
			}
			if sum > b {
				return phrase.Wrap(ErrBusy, "whep.budget", "budget", fmt.Sprintf("%.1f", float64(b)/1e6), "needed", fmt.Sprintf("%.1f", float64(sum)/1e6))
			}
		}
	}
	v.wants = add
	s.sessions[v.id] = v
	return nil
}

func (s *Server) forget(v *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, v.id)
}

// What a caller decides on.
var (
	// ErrBusy: later perhaps (503).
	ErrBusy = errors.New("no room for another viewer")
	// ErrNoPicture: nobody publishes the stream (404).
	ErrNoPicture = errors.New("no picture")
	// ErrCodec: the viewer cannot show it (406).
	ErrCodec = errors.New("the viewer cannot show it")
	// ErrOffer: no offer that can be answered (400).
	ErrOffer = errors.New("no offer that can be answered")
)

// gathered waits until the local description holds all candidates.
func gathered(ctx context.Context, pc *webrtc.PeerConnection, set func() error) (string, error) {
	done := webrtc.GatheringCompletePromise(pc)
	if err := set(); err != nil {
		return "", err
	}
	select {
	case <-done:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	return pc.LocalDescription().SDP, nil
}

func name() string { return rand.Text() }

// quiet keeps the library's many words out of the log: what matters ends a session
// and is told with it.
type quiet struct{}

func (quiet) NewLogger(string) logging.LeveledLogger { return quiet{} }
func (quiet) Trace(string)                           {}
func (quiet) Tracef(string, ...any)                  {}
func (quiet) Debug(string)                           {}
func (quiet) Debugf(string, ...any)                  {}
func (quiet) Info(string)                            {}
func (quiet) Infof(string, ...any)                   {}
func (quiet) Warn(string)                            {}
func (quiet) Warnf(string, ...any)                   {}
func (quiet) Error(string)                           {}
func (quiet) Errorf(string, ...any)                  {}
