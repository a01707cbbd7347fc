package station

import (
	"context"
	"maps"
	"net/http"
	"net/netip"
	"slices"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/video/terms"
)

// nationally adds to the child's plan what a site has of GB/T 28181.
func (p *pictures) nationally(out *terms.Plan, site *config.Video, secret func(string) string) {
	if u := site.Upper; u != nil {
		at, _ := listenAt(u.Listen) // the site has been proved
		out.Upper = &terms.Upper{ID: string(u.ID), Domain: string(u.Domain), Listen: at, From: networksOf(u.From)}
	}
	out.Sessions = site.Sessions
	if out.Sessions == 0 {
		out.Sessions = gbSessions
	}
	of := p.h.seen().bp.Doc.Site.Site
	out.About = terms.About{Name: named(of.Name, of.ID).ZH, Maker: "Tocsin", Model: "edged", Firmware: Version}
	for _, name := range slices.Sorted(maps.Keys(site.Platforms)) {
		c := site.Platforms[name]
		q := terms.Platform{
			Name: name, Title: named(c.Name, name).ZH, ID: string(c.ID), Domain: string(c.Domain), Transport: c.Transport, Device: string(c.Device), User: c.User, Password: secret(c.Password),
			Expires: c.Expires.Duration(), Keepalive: c.Keepalive.Duration(), Misses: c.Misses, LocalPort: c.Local, Media: networksOf(c.Media), Charset: c.Charset, Records: c.Records,
		}
		q.Host, q.Port = hostPort(c.Address)
		if q.Expires == 0 {
			q.Expires = gbExpires
		}
		if q.Keepalive == 0 {
			q.Keepalive = gbKeepalive
		}
		if q.Misses == 0 {
			q.Misses = gbMisses
		}
		for _, s := range slices.Sorted(maps.Keys(c.Channels)) {
			q.Channels = append(q.Channels, terms.Channel{ID: string(c.Channels[s]), Stream: s, Title: named(site.Streams[s].Name, s).ZH})
		}
		out.Platforms = append(out.Platforms, q)
	}
}

func deviceOf(c config.Camera) *terms.Device {
	if c.Device == "" {
		return nil
	}
	return &terms.Device{ID: string(c.Device), Channel: string(c.Channel), TCP: c.TCP, SHA256: c.SHA256}
}

func networksOf(all []string) (out []netip.Prefix) {
	for _, s := range all {
		if n, err := netip.ParsePrefix(s); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// shown journals who outside was shown which picture.
func (p *pictures) shown(ctx context.Context) {
	var all []terms.Shown
	if p.ask(ctx, http.MethodGet, "/shown", nil, &all) != nil {
		return
	}
	for _, s := range all {
		kind := phrase.M("station.video_play")
		switch s.Kind {
		case "Playback":
			kind = phrase.M("station.video_playback")
		case "Download":
			kind = phrase.M("station.video_download")
		}
		p.h.record("video.platform", phrase.M("station.video_platform", "platform", p.platformTitle(s.Platform), "stream", s.Stream, "kind", kind, "to", s.To),
			map[string]any{"platform": s.Platform, "stream": s.Stream, "kind": s.Kind, "to": s.To})
	}
}

func (p *pictures) platformTitle(name string) phrase.Text {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.site == nil {
		return phrase.Text{ZH: name, EN: name}
	}
	return named(p.site.Platforms[name].Name, name)
}

// platform is one as the page is told of it.
type platform struct {
	terms.PlatformState
	Title phrase.Text  `json:"title"`
	Text  phrase.Text  `json:"phase_text"`
	Wrong *phrase.Text `json:"why_text,omitempty"`
}

func (p *pictures) platforms(all []terms.PlatformState) []platform {
	out := []platform{}
	for _, v := range all {
		o := platform{PlatformState: v, Title: p.platformTitle(v.Name), Text: saidBoth(v.Phase)}
		if v.Why != nil {
			t := saidBoth(*v.Why)
			o.Wrong = &t
		}
		out = append(out, o)
	}
	return out
}
