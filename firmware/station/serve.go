package station

import (
	"context"
	"crypto/tls"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/certificate"
	"tocsin/firmware/serve/page"
)

// defaultListen is the page's address where the site names none.
const defaultListen = ":8080"

// serve opens the socket of the local tools and the page of the local network.
// What fails here is a fault; the alarm path does not know of it.
func (h *House) serve(ctx context.Context) error {
	token, err := access.Open(h.o.Data, h.log)
	if err != nil {
		h.setFault("stop token", phrase.M("station.token", "err", err))
	}
	h.token, h.door = token, h.openDoor()
	h.openAudit(ctx)
	colours := map[string]string{}
	for _, code := range h.bp.Levels.Codes() {
		l, _ := h.bp.Levels.Level(code)
		colours[code] = h.bp.Levels.Rank(l).Colour
	}
	var secure *tls.Config
	var authority page.Authority
	if a := h.openAuthority(); a != nil {
		h.authority, authority, secure = a, a, a.Config()
	}
	var pages *api.Routes
	pages, err = page.New(h, token, page.Opts{Log: h.log, Colours: colours, Cameras: h.video.cameras, Door: h.door, Authority: authority})
	if err != nil {
		return err
	}
	srv, err := api.New(h, api.Opts{
		Guard: h.guard, Log: h.log, Token: token, Door: h.door, Strangers: h.strangers, TLS: secure, Audit: h.noteAct, Names: h.bp.Doc.Site.Page.Hosts, Pages: pages, Video: h.video, Version: Version,
		Report: func(thing string, why phrase.Message) {
			if why.IsZero() {
				h.clearFault(thing)
			} else {
				h.setFault(thing, why)
			}
		},
	})
	if err != nil {
		return err
	}
	h.server = srv
	if h.o.Socket != "" {
		if err := srv.ServeUnix(ctx, h.o.Socket); err != nil {
			h.setFault("socket", phrase.M("station.socket_failed", "err", err))
		}
	}
	listen := h.o.Listen
	if listen == "" {
		listen = h.bp.Doc.Site.Page.Listen
	}
	if listen == "" {
		listen = defaultListen
	}
	if listen != "off" {
		return srv.ServeLAN(ctx, listen)
	}
	return nil
}

// openAuthority opens the page's certificate authority; nil where the page is served in the
// clear, as the site wants it or because no key can be made.
func (h *House) openAuthority() *certificate.Authority {
	site := h.bp.Doc.Site
	if site.Page.TLS == "off" {
		return nil
	}
	a, err := certificate.Open(certificate.Opts{
		Dir: h.o.Data, Station: site.Site.ID, Built: BuildTime(), Log: h.log, Now: h.clock.Now, Floor: h.clock.Floor,
		Hosts: func() []string { return h.seen().bp.Doc.Site.Page.Hosts }, Addrs: localAddrs,
	})
	switch {
	case a == nil:
		h.setFault("page", phrase.M("station.page_clear", "err", err))
	case err != nil:
		h.setFault("certificate", phrase.Of(err))
	}
	return a
}
