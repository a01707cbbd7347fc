package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/pictures"
	"tocsin/cmd/hubd/relay"
	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/video/whep"
)

// mediaMost bounds all WebRTC sessions of the hub.
const mediaMost = 600

// pictured is the hub's side of live pictures.
type pictured struct {
	room  *pictures.Pictures
	media *whep.Server
	relay *relay.Relay
	whip  net.Listener
}

// see starts live pictures.
func (h *hub) see(f *hubfile.File, zone *time.Location, log *slog.Logger) (err error) {
	g := f.Pictures
	p := &pictured{}
	h.pictured = p
	var cert *tls.Config
	if g.TLS != nil {
		pair, err := tls.LoadX509KeyPair(g.TLS.Certificate, g.TLS.Key)
		if err != nil {
			return phrase.Wrap(err, "hubd.pair", "err", err)
		}
		cert = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	if p.whip, err = net.Listen("tcp", g.Listen); err != nil {
		return phrase.Wrap(err, "hubd.engine_listen", "listen", g.Listen)
	}
	url := g.URL
	if url == "" {
		url = map[bool]string{true: "https://", false: "http://"}[cert != nil] + p.whip.Addr().String()
	}
	if cert != nil {
		p.whip = tls.NewListener(p.whip, cert)
	}
	if p.media, err = whep.New(whep.Opts{Log: log, Now: clock.Mono, Start: h.guard.Starter("whep"), Listen: g.Media, Loopback: hubfile.Loopback(g.Media), Public: g.Addresses, Most: mediaMost}); err != nil {
		return err
	}
	if t := g.TURN; t != nil {
		if p.relay, err = relay.New(relay.Opts{Listen: t.Listen, TLS: t.TLS, Certificate: cert, Address: netip.MustParseAddr(t.Address), Host: t.Host, From: t.From, To: t.To,
			Media: mediaAt(g, p.media.Port()), Allow: t.Nets, Now: time.Now, Log: log}); err != nil {
			return err
		}
		h.guard.Go("relay", "turn", guard.Once, p.relay.Run)
	}
	link := pictures.Link{Conn: h.engine.Conn}
	diary := pictures.NewDiary(h.engine.JS)
	p.room, err = pictures.New(pictures.Opts{File: f, Media: pictures.WebRTC{Server: p.media}, Ask: link, Diary: diary, Relay: p.relay, Talk: h.talkerOf(), Who: h.console.Officer, Until: h.console.Until,
		Guard: h.guard, Log: log, Zone: zone, Now: time.Now, Mono: clock.Mono, Shelf: filepath.Join(f.Data, "clips")}, url)
	if err != nil {
		return err
	}
	h.console.Handle("/pictures/", p.room.Page())
	h.guard.Go("pictures", "diary", guard.Restart, diary.Run)
	h.guard.Go("pictures", "hear", guard.Restart, func(ctx context.Context) error { return link.Hear(ctx, p.room) })
	h.guard.Go("pictures", "feeds", guard.Restart, p.room.Run)
	h.guard.Go("pictures", "whip", guard.Once, func(ctx context.Context) error {
		s := &http.Server{Handler: p.room.WHIP(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second,
			IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
		stop := context.AfterFunc(ctx, func() { s.Close() })
		defer stop()
		if err := s.Serve(p.whip); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return ctx.Err()
	})
	return nil
}

// mediaAt are the addresses of the media port: what a relay may reach.
func mediaAt(g *hubfile.Pictures, port int) (all []netip.AddrPort) {
	add := func(a netip.Addr) { all = append(all, netip.AddrPortFrom(a.Unmap(), uint16(port))) }
	host, _, _ := net.SplitHostPort(g.Media)
	if a, err := netip.ParseAddr(host); err == nil && !a.IsUnspecified() {
		add(a)
	} else if own, err := net.InterfaceAddrs(); err == nil {
		for _, o := range own {
			if n, ok := o.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
				if a, ok := netip.AddrFromSlice(n.IP); ok {
					add(a)
				}
			}
		}
	}
	for _, s := range g.Addresses {
		add(netip.MustParseAddr(s))
	}
	return all
}

// close ends all calls and shuts the ports.
func (p *pictured) close(log *slog.Logger) {
	if p.whip != nil {
		p.whip.Close()
	}
	if p.media != nil {
		if err := p.media.Close(); err != nil {
			log.Debug("the port of pictures", "err", err)
		}
	}
}
